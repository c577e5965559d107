from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from caco_data.errors import InputError
from caco_data.evaluation.bigearthnet_files import CLASSES, find_patches, read_patch
from caco_data.evaluation.events import SeriesSet, ap_at_k, event_scores
from tests.conftest import Run
from tests.support.labelled_pictures import save_random_encoder
from tests.support.pixel_tasks import make_bigearthnet, make_series

torch.set_num_threads(1)

COMMON = ("--device", "cpu", "--bootstrap", 10, "--image-size", 32, "--name", "mine")


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_random_encoder(tmp_path_factory.mktemp("run") / "encoder.safetensors")


@pytest.mark.parametrize("version", [1, 2])
def test_labels_of_19_classes_in_both_versions(tmp_path: Path, version: int) -> None:
    patches = find_patches(make_bigearthnet(tmp_path, version))
    assert len(CLASSES) == 19
    assert patches.labels.shape == (18, 19)
    for path, row in zip(patches.paths, patches.labels, strict=True):
        bright = int(path.name[-1]) % 2 == 0
        wanted = {"Urban fabric", "Pastures"} if bright else {"Inland waters"}
        assert {CLASSES[i] for i in np.flatnonzero(row)} == wanted
    assert len(patches.where("val")) == 6
    pixels = read_patch(patches.paths[0], ("B11", "B2"))
    assert pixels.values.shape == (2, 120, 120)
    assert (pixels.values[0, ::2, ::2] == pixels.values[0, 1::2, 1::2]).all()


def test_bigearthnet(run: Run, encoder: Path, tmp_path: Path) -> None:
    data = make_bigearthnet(tmp_path / "data", 2)
    arguments = ("evaluate", "bigearthnet", "--encoder", encoder, "--data", data,
                 "--out", tmp_path / "out", *COMMON)  # fmt: skip
    result = run(*arguments)
    assert result.exit_code == 0, result.stderr
    rows = json.loads((tmp_path / "out" / "bigearthnet-mine.json").read_text())["results"]
    values = {(row["name"], row["method"]): row["metric_value"] for row in rows}
    assert values["image statistics", "linear 100%"] > 0.95
    assert {row["n_train"] for row in rows} == {1, 6}
    assert run(*arguments).stdout == result.stdout
    (data / "metadata.parquet").write_text("x")
    assert "Cannot read the metadata" in run(*arguments).stderr
    (data / "metadata.parquet").unlink()
    with pytest.raises(InputError, match=r"Neither metadata\.parquet"):
        find_patches(data)


def test_scores_and_precision_of_known_series() -> None:
    angle = np.array([0.0, 0.1, 0.2, 1.2, 0.0, 0.3, 0.4])
    features = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    series = np.array([0, 0, 0, 0, 1, 1, 1])
    scores = event_scores(features, series)
    assert np.isnan(scores[[0, 4]]).all()
    assert scores[3] == np.nanmax(scores)
    assert scores[5:].tolist() == pytest.approx([1.5, 0.5], abs=0.01)
    event = np.zeros(7, dtype=bool)
    event[[3, 6]] = True
    data = SeriesSet((), series, ("a", "b"), event)
    # Ranks: the first event is first, the second one is third, after its neighbour.
    assert ap_at_k(scores, data, 3)(np.array([0, 1])) == pytest.approx((1 + 2 / 3) / 2)
    assert ap_at_k(scores, data, 1)(np.array([0, 1])) == 1
    assert ap_at_k(scores, data, 1)(np.array([1])) == 0


def test_events(run: Run, encoder: Path, tmp_path: Path) -> None:
    data = make_series(tmp_path / "data")
    arguments = ("evaluate", "events", "--encoder", encoder, "--data", data,
                 "--out", tmp_path / "out", "--top", 3, *COMMON)  # fmt: skip
    result = run(*arguments)
    assert result.exit_code == 0, result.stderr
    found = json.loads((tmp_path / "out" / "events-mine.json").read_text())
    assert [found["images"][i] for i in np.flatnonzero(found["events"])] == ["a/2021-04.png"]
    values = {row["name"]: row["metric_value"] for row in found["results"]}
    assert values["mine"] == 1
    for text, words in (
        ("series,date\nc,2021-04\n", "No series 'c'"),
        ("series,date\na,2022-04\n", "No image of series 'a' after"),
        ("place,date\na,2021-04\n", "No events with"),
    ):
        (data / "events.csv").write_text(text)
        bad = run(*arguments)
        assert bad.exit_code == 2
        assert words in bad.stderr
        assert bad.stderr.count("\n") == 1
