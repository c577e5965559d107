from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from caco_data.evaluation.change import change_metrics
from tests.conftest import Run
from tests.support.labelled_pictures import save_random_encoder
from tests.support.training_data import is_changed, make_training_set

torch.set_num_threads(1)

SIZE = ("--image-size", 66, "--device", "cpu", "--bootstrap", 20, "--top", 2)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_training_set(tmp_path_factory.mktemp("data") / "set", 6)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_random_encoder(tmp_path_factory.mktemp("run") / "encoder.safetensors", seed=1)


def test_metrics_of_a_known_ranking() -> None:
    score = np.array([4.0, 3.0, 2.0, 1.0])
    metrics = change_metrics(score, np.array([True, False, True, False]), 2)
    everything = np.arange(4)
    assert {name: metric(everything) for name, metric in metrics.items()} == {
        "auroc": 0.75,
        "average precision": pytest.approx((1 + 2 / 3) / 2),
        "precision@2": 0.5,
    }
    assert np.isnan(metrics["auroc"](np.array([1, 3])))  # a resample without changes


def test_change_of_features_and_of_an_estimate(
    run: Run, data: Path, encoder: Path, tmp_path: Path
) -> None:
    ids = [10 * i for i in range(6)]
    shutil.copy(encoder, tmp_path)
    ratios = [float(is_changed(i)) for i in ids]
    pq.write_table(pa.table({"location_id": ids, "ratio": ratios}), tmp_path / "change.parquet")
    arguments = ("evaluate", "change", "--encoder", tmp_path, "--data", data,
                 "--out", tmp_path / "out", "--name", "mine", *SIZE)  # fmt: skip
    result = run(*arguments)
    assert result.exit_code == 0, result.stderr
    found = json.loads((tmp_path / "out" / "change-mine.json").read_text())
    rows = {(row["name"], row["metric_name"]): row["metric_value"] for row in found["results"]}
    # Every contender separates other textures from equal ones.
    for name in ("mine", "fresh weights", "estimate of the training"):
        assert rows[name, "auroc"] == 1
        assert rows[name, "precision@2"] == 1
    assert found["changed"] == [is_changed(i) for i in ids]
    assert (tmp_path / "out" / "change-mine-pairs.png").stat().st_size > 10_000
    assert run(*arguments).stdout == result.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--data", "nowhere"), "No data set here (nowhere)"),
        (("--estimate", "nowhere"), "No change estimate here (nowhere)"),
        (("--top", 0), "--top"),
    ],
)
def test_bad_input_is_one_line(
    run: Run, data: Path, encoder: Path, tmp_path: Path, arguments: tuple[object, ...], words: str
) -> None:
    result = run("evaluate", "change", "--encoder", encoder, "--data", data,
                 "--out", tmp_path / "out", *SIZE, *arguments)  # fmt: skip
    assert result.exit_code == 2, result.stderr
    assert words in result.stderr
    assert result.stderr.count("\n") == 1


def test_the_truth_is_required(run: Run, encoder: Path, tmp_path: Path) -> None:
    data = make_training_set(tmp_path / "set", 1, truth=False)
    result = run("evaluate", "change", "--encoder", encoder, "--data", data, *SIZE,
                 "--out", tmp_path / "out")  # fmt: skip
    assert "no truth.parquet" in result.stderr
    one = make_training_set(tmp_path / "one", 1)
    result = run("evaluate", "change", "--encoder", encoder, "--data", one, *SIZE,
                 "--out", tmp_path / "out")  # fmt: skip
    assert "None of the 1 locations changed" in result.stderr
