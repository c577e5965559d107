"""Everything that changes while training, and the step that changes it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from lightning.fabric import Fabric
from torch import Tensor

from caco_data.dataset import StackTable
from caco_data.training.augment import Augmenter, draw
from caco_data.training.batches import Batch
from caco_data.training.change import ChangeEstimator
from caco_data.training.contrast import METHODS, Scores, score
from caco_data.training.encoder import ENCODERS, MoCo
from caco_data.training.settings import TrainSettings


class Learner:
    """Model, optimiser and change estimate.

    Parameters
    ----------
    settings : TrainSettings
        What to train.
    stacks : StackTable
        What it is trained on.
    fabric : Fabric
        Device and precision.
    """

    estimator: ChangeEstimator | None
    """For the methods that label changes."""

    def __init__(self, settings: TrainSettings, stacks: StackTable, fabric: Fabric) -> None:
        self.settings = settings
        self._method = METHODS[settings.method]
        self._fabric = fabric
        device = fabric.device
        eight_bit = stacks.dtype == np.uint8
        self._augment = Augmenter(stacks.bands, eight_bit, settings.crop_size, device)
        self.moco = _make_model(settings, len(stacks.bands))
        self._model, self._optimizer = fabric.setup(
            self.moco,
            torch.optim.SGD(
                [parameter for parameter in self.moco.parameters() if parameter.requires_grad],
                settings.lr,
                settings.momentum,
                weight_decay=settings.weight_decay,
                fused=device.type == "cuda",
            ),
        )
        self.estimator = None
        if self._method.estimates_change:
            locations = len(stacks.location_ids)
            self.estimator = ChangeEstimator(locations, device, settings.mixture)

    def learn(self, batch: Batch, step: int, lr: float) -> Scores:
        """Take one step.

        Parameters
        ----------
        batch : Batch
            N rows.
        step : int
            Its number; with the seed it determines the augmentation.
        lr : float
            Learning rate.
        """
        device = self._fabric.device
        tiles = batch.tiles.to(device, non_blocking=True)  # (3, N, C, H, W)
        locations = self._to_device(torch.from_numpy(batch.locations))  # (N / 2,)
        views = self._views(tiles, step)  # 4 x (N, C, size, size)
        out = self._model(views, with_anchor=self.estimator is not None)

        changed = None
        if self.estimator is not None:
            changed = self.estimator.changed[locations].repeat_interleave(2)  # (N,)
        scores = score(out.queries, out.keys, self.moco.queue, changed, self._method)

        for group in self._optimizer.param_groups:
            group["lr"] = lr
        self._fabric.backward(scores.loss.sum())
        self._optimizer.step()
        self._optimizer.zero_grad()
        self.moco.enqueue(out.keys)
        if self.estimator is not None:
            rows = torch.stack([2 * locations, 2 * locations + 1], dim=1).flatten()  # (N,)
            self.estimator.update(rows, out.anchor, out.keys[1, 1])
        return scores

    def _to_device(self, x: Tensor) -> Tensor:
        if self._fabric.device.type == "cuda":
            return x.pin_memory().to(self._fabric.device, non_blocking=True)
        return x

    def _views(self, tiles: Tensor, step: int) -> list[Tensor]:
        """The query image and the key views 0, 1, 2 (paper, section 3.2), each with its own crop.

        Tiles t0, t1, t2 make: query t0, cropped; view 0 another date, augmented; view 1 a third
        date, cropped; view 2 the query's date, augmented.
        """
        t0, t1, t2 = tiles
        seed = np.random.SeedSequence([self.settings.seed, step]).generate_state(1)[0]
        generator = torch.Generator().manual_seed(int(seed))
        plan = ((t0, True), (t1, False), (t2, True), (t0, False))
        return [
            self._augment(tile, draw(len(tile), generator, crop_only=crop_only))
            for tile, crop_only in plan
        ]

    def state_dict(self) -> dict[str, Any]:
        """Everything the next step depends on but its number, as tensors and plain values."""
        state = {"model": self.moco.state_dict(), "optimizer": self._optimizer.state_dict()}
        if self.estimator is not None:
            state["estimator"] = self.estimator.state_dict()
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take the state of a checkpoint."""
        self.moco.load_state_dict(state["model"])
        self._optimizer.load_state_dict(state["optimizer"])
        if self.estimator is not None:
            self.estimator.load_state_dict(state["estimator"])


def _make_model(settings: TrainSettings, bands: int) -> MoCo:
    with torch.random.fork_rng(devices=[]):  # the caller's random state is none of our business
        torch.manual_seed(settings.seed)
        encoder = ENCODERS[settings.encoder](bands)
        model = MoCo(
            encoder,
            encoder.features,
            settings.embedding,
            settings.queue_size,
            settings.key_momentum,
            torch.Generator().manual_seed(settings.seed),
        )
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return model


def learning_rate(settings: TrainSettings, step: int, steps: int) -> float:
    """A tenth of the initial rate from 60 % of the steps on, a hundredth from 80 %."""
    drops = sum(step >= math.ceil(share * steps) for share in (0.6, 0.8))
    return settings.lr / 10.0**drops
