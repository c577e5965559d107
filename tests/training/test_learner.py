from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from lightning.fabric import Fabric
from torch.utils._python_dispatch import TorchDispatchMode

from caco_data.dataset.reader import open_dataset
from caco_data.training.band_scaling import NORMALISATION, STRETCH
from caco_data.training.batches import BatchReader
from caco_data.training.change import ChangeEstimator
from caco_data.training.learner import Learner, learning_rate
from caco_data.training.settings import TrainSettings
from tests.support.training_data import make_training_set

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> TrainSettings:
    data = make_training_set(tmp_path_factory.mktemp("data") / "set", 12)
    return TrainSettings(
        data=str(data),
        device="cpu",
        batch_size=8,
        queue_size=64,
        embedding=16,
        crop_size=32,
        change_estimate="smoothed",
    )


def make_learner(settings: TrainSettings) -> Learner:
    fabric = Fabric(accelerator="cpu", devices=1)
    return Learner(settings, open_dataset(settings.data).stacks(), fabric)


def test_views_are_made_from_the_dates_given_in_the_paper(tiny: TrainSettings) -> None:
    learner = make_learner(tiny)
    tiles = torch.empty(3, 4, 3, 264, 264, dtype=torch.uint8)
    for t, value in enumerate((30, 50, 70)):
        tiles[t] = value
    query, *keys = learner._views([tiles], 0, 0, 4)
    mean, deviation = NORMALISATION["B3"]
    low, high = STRETCH["B3"]

    def green(value: int) -> torch.Tensor:
        level = ((value - low) / (high - low) - mean) / deviation
        return torch.full((4, 32, 32), level)

    torch.testing.assert_close(query[:, 1], green(30), rtol=0, atol=1e-4)
    torch.testing.assert_close(keys[1][:, 1], green(70), rtol=0, atol=1e-4)
    # Augmented views are recoloured, but closest to their own tile.
    many = torch.empty(3, 400, 3, 32, 32, dtype=torch.uint8)
    for t, value in enumerate((20, 50, 80)):
        many[t] = value
    _, *keys = learner._views([many], 0, 0, 400)
    brightness = [float(key.mean()) for key in keys]
    plain = [float(view[:, 1].mean()) for view in learner._views([many], 0, 0, 400)[:1]]
    assert brightness[2] < brightness[0] < brightness[1]
    assert float(keys[0][:, 1].std()) > 0.05
    assert float(keys[2][:, 1].std()) > 0.05
    assert plain[0] < float(keys[1][:, 1].mean())


def test_the_loss_on_one_batch_decreases(tiny: TrainSettings) -> None:
    settings = dataclasses.replace(tiny, method="seco", key_momentum=0.9)
    learner = make_learner(settings)
    batch = next(BatchReader(open_dataset(settings.data).stacks(), 8, 0).epoch(0))
    assert learner.model.queue is not None
    queue = learner.model.queue.clone()
    losses = []
    for step in range(15):
        losses.append(float(learner.learn(batch, step, 0.03).loss.detach().sum()))
        learner.model.queue.copy_(queue)  # otherwise the batch's own keys become negatives
    assert sum(losses[-5:]) < 0.9 * sum(losses[:5])


class _SyncRecorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Records operations that wait for a GPU: reading a value, indexing by a mask."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.waits: list[str] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        name = str(func.overloadpacket)
        masks = name in ("aten.index", "aten.index_put_") and any(
            index is not None and index.dtype == torch.bool for index in args[1]
        )
        if masks or name in ("aten._local_scalar_dense", "aten.masked_select", "aten.equal"):
            self.waits.append(name)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("framework", ["moco", "simclr"])
def test_a_step_never_waits_for_the_device(tiny: TrainSettings, framework: str) -> None:
    settings = dataclasses.replace(tiny, framework=framework)  # type: ignore[arg-type]
    learner = make_learner(settings)
    batch = next(BatchReader(open_dataset(settings.data).stacks(), 8, 0).epoch(0))
    with _SyncRecorder() as recorder:
        scores = learner.learn(batch, 0, 0.03)
        assert recorder.waits == []
        float(scores.loss.detach().sum())
    assert recorder.waits == ["aten._local_scalar_dense"]


def test_the_estimator_is_updated_at_the_rows_of_the_batch(tiny: TrainSettings) -> None:
    learner = make_learner(tiny)
    assert isinstance(learner.estimator, ChangeEstimator)
    batch = next(BatchReader(open_dataset(tiny.data).stacks(), 8, 0).epoch(0))
    learner.learn(batch, 0, 0.03)
    seen = learner.estimator.seen.reshape(-1, 2).all(1).nonzero()[:, 0]
    assert seen.tolist() == sorted(batch.locations.tolist())


def test_learning_rate_rises_during_the_warmup_and_follows_a_cosine_to_0() -> None:
    settings = TrainSettings(lr=1.0, schedule="cosine", warmup=0.2)
    rates = [learning_rate(settings, step, 100) for step in range(100)]
    assert rates[0] == pytest.approx(1 / 21)
    assert rates[20] == max(rates) == 1
    assert rates[60] == pytest.approx(0.5)
    assert rates[99] < 0.001
    assert rates[:21] == sorted(rates[:21])
    assert rates[20:] == sorted(rates[20:], reverse=True)


def test_learning_rate_falls_at_60_and_80_per_cent() -> None:
    rates = [learning_rate(TrainSettings(), step, 10) for step in range(10)]
    assert rates == pytest.approx([0.03] * 6 + [0.003] * 2 + [0.0003] * 2)
