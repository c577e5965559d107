from __future__ import annotations

import csv
import dataclasses
import json
import logging
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from caco_data.dataset.reader import open_dataset
from caco_data.errors import CacoDataError, DatasetError, InputError
from caco_data.training.band_scaling import STRETCH
from caco_data.training.batches import BatchReader
from caco_data.training.loop import train
from caco_data.training.metrics import TrainProgress
from caco_data.training.models.card import card_from_json
from caco_data.training.models.encoder import RESNETS
from caco_data.training.settings import TrainSettings
from tests.support.training_data import is_changed, make_training_set

torch.set_num_threads(1)

LOCATIONS = 12
#: Three steps per epoch.
TINY = TrainSettings(
    device="cpu", epochs=2, batch_size=8, queue_size=64, embedding=16, crop_size=32, log_every=1,
    workers=2, change_estimate="smoothed",
)  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_training_set(tmp_path_factory.mktemp("data") / "set", LOCATIONS)


@pytest.fixture
def tiny(data: Path, tmp_path: Path) -> TrainSettings:
    return dataclasses.replace(TINY, data=str(data), out=str(tmp_path / "run"))


@pytest.fixture(scope="module")
def whole(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run."""
    out = tmp_path_factory.mktemp("whole") / "run"
    train(dataclasses.replace(TINY, data=str(data), out=str(out)))
    return out


def metrics(run: Path) -> list[dict[str, str]]:
    with (run / "metrics.csv").open(newline="") as file:
        return [{k: v for k, v in r.items() if k != "rows_per_s"} for r in csv.DictReader(file)]


def checkpoints(run: Path) -> list[Path]:
    return sorted((run / "checkpoints").iterdir())


def terminate_at(step: int) -> Callable[[TrainProgress], None]:
    def show(now: TrainProgress) -> None:
        if now.step == step:
            os.kill(os.getpid(), signal.SIGTERM)

    return show


def interrupted(settings: TrainSettings, step: int) -> Path:
    """Run until the report of a step, then send SIGTERM; return the run folder."""
    with pytest.raises(KeyboardInterrupt):
        train(settings, terminate_at(step))
    return Path(settings.out)


def assert_same_end(run: Path, expected: Path) -> None:
    assert metrics(run) == metrics(expected)
    weights, other = (load_file(folder / "encoder.safetensors") for folder in (run, expected))
    assert all(torch.equal(weights[name], other[name]) for name in other)
    assert pq.read_table(run / "change.parquet").equals(pq.read_table(expected / "change.parquet"))


def test_files_of_a_finished_run(whole: Path, data: Path) -> None:
    names = {path.name for path in whole.iterdir() if not path.name.startswith("events.out")}
    assert names == {
        "config.json", "metrics.csv", "checkpoints", "encoder.safetensors", "change.parquet",
        "change_histogram.png", "loss_curve.png",
    }  # fmt: skip
    assert any(path.name.startswith("events.out.tfevents") for path in whole.iterdir())
    config = json.loads((whole / "config.json").read_text())
    assert config["settings"]["batch_size"] == 8
    assert config["data_digest"] == open_dataset(data).digest
    rows = metrics(whole)
    assert [int(row["step"]) for row in rows] == [1, 2, 3, 4, 5, 6]
    assert [row["auroc"] != "" for row in rows] == [False, False, True] * 2
    for row in rows:
        heads = sum(float(row[f"head_loss_{i}"]) for i in range(3))
        assert float(row["loss"]) == pytest.approx(heads)
    assert [path.stem for path in checkpoints(whole)] == ["000000003", "000000006"]
    change = pq.read_table(whole / "change.parquet")
    assert change.column_names == ["location_id", "ratio", "probability", "label"]
    assert change["location_id"].to_pylist() == [10 * i for i in range(LOCATIONS)]
    assert (whole / "loss_curve.png").read_bytes().startswith(b"\x89PNG")
    assert (whole / "change_histogram.png").read_bytes().startswith(b"\x89PNG")


def test_encoder_file_contains_the_input_scaling(whole: Path) -> None:
    weights = load_file(whole / "encoder.safetensors")
    RESNETS["resnet18"](3).load_state_dict(weights)
    with safe_open(whole / "encoder.safetensors", "pt") as file:
        metadata = file.metadata()
    card = card_from_json(metadata["encoder_card"])
    assert card.band_names == ("B4", "B3", "B2")
    assert [(band.low, band.high) for band in card.bands] == [STRETCH[b] for b in card.band_names]
    assert (card.method, card.framework, card.steps) == ("caco", "moco", 6)


@pytest.mark.parametrize(
    "step", [2, 3, 4], ids=["within an epoch", "between epochs", "after the first fit"]
)
def test_resuming_gives_the_same_next_losses_bit_for_bit(
    tiny: TrainSettings, whole: Path, step: int
) -> None:
    run = interrupted(tiny, step)
    # The signal is sent while a report is shown, and handled during this step or the next.
    assert int(metrics(run)[-1]["step"]) in (step, step + 1)
    train(dataclasses.replace(tiny, resume=True))
    assert_same_end(run, whole)


def test_a_damaged_checkpoint_falls_back_to_the_one_before(
    whole: Path, tiny: TrainSettings, caplog: pytest.LogCaptureFixture
) -> None:
    run = Path(tiny.out)
    shutil.copytree(whole, run)
    newest = checkpoints(run)[-1]
    newest.write_bytes(newest.read_bytes()[:100_000])
    with caplog.at_level(logging.WARNING):
        last = train(dataclasses.replace(tiny, resume=True))
    assert last is not None
    assert [r.getMessage() for r in caplog.records if "Damaged" in r.getMessage()] == [
        f"Damaged checkpoint skipped: {newest}"
    ]
    assert_same_end(run, whole)


def test_resuming_a_finished_run_changes_nothing(whole: Path, tiny: TrainSettings) -> None:
    run = Path(tiny.out)
    shutil.copytree(whole, run)
    assert train(dataclasses.replace(tiny, resume=True)) is None
    assert_same_end(run, whole)


def test_resume_starts_a_run_in_an_empty_folder(tiny: TrainSettings) -> None:
    last = train(dataclasses.replace(tiny, resume=True, max_steps=1))
    assert last is not None
    assert (last.step, last.steps) == (1, 1)


def test_folders_of_other_runs_are_refused(
    whole: Path, tiny: TrainSettings, tmp_path: Path
) -> None:
    run = Path(tiny.out)
    shutil.copytree(whole, run)
    with pytest.raises(InputError, match="--resume"):
        train(tiny)
    with pytest.raises(InputError, match=r"lr 0\.03 -> 0\.1; seed 0 -> 1"):
        train(dataclasses.replace(tiny, resume=True, lr=0.1, seed=1))
    other = make_training_set(tmp_path / "other", LOCATIONS, dtype="uint16")
    with pytest.raises(InputError, match="data_digest"):
        train(dataclasses.replace(tiny, resume=True, data=str(other)))
    (run / "config.json").write_text("{}")
    with pytest.raises(InputError, match="Unreadable"):
        train(dataclasses.replace(tiny, resume=True))
    (run / "config.json").unlink()
    with pytest.raises(InputError, match="no run"):
        train(tiny)


@pytest.mark.parametrize("foreign", [{"epoch": 3}, {"format": "caco-data-checkpoint/1", "step": 6}])
def test_foreign_checkpoints_are_refused(
    whole: Path, tiny: TrainSettings, foreign: dict[str, object]
) -> None:
    run = Path(tiny.out)
    shutil.copytree(whole, run)
    torch.save(foreign, checkpoints(run)[-1])
    with pytest.raises(InputError, match="000000006"):
        train(dataclasses.replace(tiny, resume=True))


def test_error_when_every_checkpoint_is_damaged(whole: Path, tiny: TrainSettings) -> None:
    run = Path(tiny.out)
    shutil.copytree(whole, run)
    for path in checkpoints(run):
        path.write_bytes(b"")
    with pytest.raises(InputError, match="No checkpoint"):
        train(dataclasses.replace(tiny, resume=True))


def test_error_on_a_loss_that_is_not_finite_names_the_locations(tiny: TrainSettings) -> None:
    settings = dataclasses.replace(tiny, weight_decay=1e30, log_every=2)
    with pytest.raises(CacoDataError, match="not finite") as caught:
        train(settings)
    saved = Path(tiny.out) / "checkpoints" / "not-finite.pt"
    assert str(saved) in str(caught.value)
    assert torch.load(saved, weights_only=True)["step"] == 2
    stacks = open_dataset(settings.data).stacks()
    second = list(BatchReader(stacks, 8, settings.seed).epoch(0))[1]
    ids = ", ".join(str(stacks.location_ids[i]) for i in second.locations)
    assert f"locations {ids} " in str(caught.value)
    assert checkpoints(Path(tiny.out)) == [saved]


def test_checkpoints_within_an_epoch_after_checkpoint_minutes(tiny: TrainSettings) -> None:
    settings = dataclasses.replace(tiny, keep_best=0, resume=True)
    train(dataclasses.replace(settings, max_steps=2, checkpoint_minutes=1e-9))
    assert [path.stem for path in checkpoints(Path(tiny.out))] == ["000000001", "000000002"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("shards/000001.tar", "11396608 bytes instead of"),
        ("truth.parquet", "Changed since it was written"),
        ("truth.parquet", "Missing file"),
        ("index.parquet", "Unreadable table"),
    ],
)
def test_a_damaged_data_set_is_refused(
    tiny: TrainSettings, tmp_path: Path, name: str, words: str
) -> None:
    data = shutil.copytree(tiny.data, tmp_path / "set")
    path = data / name
    if words.startswith("Missing"):
        path.unlink()
    else:
        with path.open("r+b") as file:
            file.truncate(path.stat().st_size - 512)
    with pytest.raises(DatasetError, match=words) as caught:
        train(dataclasses.replace(tiny, data=str(data)))
    assert str(path) in str(caught.value)
    assert not Path(tiny.out).exists()


def test_a_flipped_byte_is_found_with_checksum(tiny: TrainSettings, tmp_path: Path) -> None:
    data = shutil.copytree(tiny.data, tmp_path / "set")
    with (data / "shards" / "000001.tar").open("r+b") as file:
        file.seek(5_000_000)
        byte = file.read(1)[0]
        file.seek(5_000_000)
        file.write(bytes([byte ^ 1]))
    settings = dataclasses.replace(tiny, data=str(data), max_steps=1)
    with pytest.raises(DatasetError, match=r"000001\.tar"):
        train(dataclasses.replace(settings, checksum=True))
    assert train(settings) is not None


@pytest.mark.parametrize(
    ("change", "heads", "labels"),
    [
        ({"method": "moco"}, 1, False),
        ({"method": "moco-tp"}, 1, False),
        ({"method": "seco"}, 3, False),
        ({"method": "teco"}, 3, False),
        ({"method": "seco", "framework": "simclr"}, 3, False),
        ({"framework": "simclr"}, 3, True),
        ({"change_estimate": "local"}, 3, True),
        ({"change_estimate": "distance"}, 3, True),
        ({"change_estimate": "ratio", "mixture": "raw"}, 3, True),
        ({"encoder": "resnet50"}, 3, True),
        ({"precision": "bf16"}, 3, True),
    ],
    ids=str,
)
def test_every_method_framework_and_estimate(
    tiny: TrainSettings, change: dict[str, Any], heads: int, labels: bool
) -> None:
    last = train(dataclasses.replace(tiny, epochs=1, **change))
    assert last is not None
    run = Path(tiny.out)
    assert len(last.accuracy) == len(last.head_loss) == heads
    assert last.loss == pytest.approx(sum(last.head_loss))
    assert 0 < last.loss < 100
    assert (last.changed_share is not None) == (last.auroc is not None) == labels
    assert (run / "change.parquet").exists() == labels
    assert (run / "change_histogram.png").exists() == labels
    assert (run / "loss_curve.png").exists()
    untrained = RESNETS[str(change.get("encoder", "resnet18"))](3)
    weights = load_file(run / "encoder.safetensors")
    assert {name: x.shape for name, x in weights.items()} == {
        name: x.shape for name, x in untrained.state_dict().items()
    }


def test_training_on_other_bands_without_a_truth_table(tmp_path: Path) -> None:
    bands = ("B8", "B4", "B3", "B2")
    data = make_training_set(tmp_path / "set", 4, bands, "uint16", truth=False)
    out = tmp_path / "run"
    last = train(dataclasses.replace(TINY, data=str(data), out=str(out), epochs=1))
    assert last is not None
    assert last.auroc is None
    assert load_file(out / "encoder.safetensors")["conv1.weight"].shape == (64, 4, 7, 7)


def test_without_changed_locations_no_auroc_is_computed(
    tiny: TrainSettings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    unchanged = np.zeros(LOCATIONS, dtype=bool)
    monkeypatch.setattr("caco_data.training.run.read_truth", lambda *_: unchanged)
    last = train(dataclasses.replace(tiny, epochs=1))
    assert last is not None
    assert last.auroc is None
    assert f"none of the {LOCATIONS} locations changed" in caplog.text
    caplog.clear()
    train(dataclasses.replace(tiny, out=f"{tiny.out}-moco", epochs=1, method="moco"))
    assert "AUROC" not in caplog.text  # it does not estimate change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"queue_size": 60}, "multiple"),
        ({"batch_size": 7, "queue_size": 70}, "even"),
        ({"batch_size": 32}, "has 12"),
        ({"crop_size": 8}, "at least 32"),
        ({"encoder": "vgg", "data": "nowhere"}, "No encoder 'vgg'"),
    ],
)
def test_invalid_settings_leave_no_folder(
    tiny: TrainSettings, change: dict[str, Any], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        train(dataclasses.replace(tiny, **change))
    assert not Path(tiny.out).exists()


def test_the_training_set_has_changed_and_unchanged_locations() -> None:
    assert {is_changed(10 * i) for i in range(LOCATIONS)} == {True, False}
