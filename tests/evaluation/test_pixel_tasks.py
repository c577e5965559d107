from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from caco_data.evaluation.oscd import corners, pixel_metrics
from caco_data.evaluation.oscd_files import City
from caco_data.evaluation.segmentation import miou
from tests.conftest import Run
from tests.support.labelled_pictures import save_random_encoder
from tests.support.pixel_tasks import make_oscd, make_segmentation

torch.set_num_threads(1)

COMMON = ("--device", "cpu", "--bootstrap", 10)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_random_encoder(tmp_path_factory.mktemp("run") / "encoder.safetensors")


def rows_of(path: Path) -> dict[tuple[str, str, str], float]:
    rows = json.loads(path.read_text())["results"]
    return {(r["name"], r["method"], r["metric_name"]): r["metric_value"] for r in rows}


def test_miou_of_known_masks() -> None:
    mask = np.array([[0, 0, 1, 255]])
    found = np.array([[0, 1, 1, 1]], dtype=np.uint8)
    assert miou([mask], [found], 3)(np.array([0])) == pytest.approx((1 / 2 + 1 / 2) / 2)


def test_pixel_metrics_of_a_known_map() -> None:
    changed = np.array([[True, True, False, False]])
    city = City("a", np.zeros((1, 1, 4), np.uint16), np.zeros((1, 1, 4), np.uint16), changed)
    metrics = pixel_metrics([city], [np.array([[0.9, 0.1, 0.7, 0.2]], np.float32)])
    assert {name: metric(np.array([0])) for name, metric in metrics.items()} == {
        "precision": 0.5, "recall": 0.5, "F1": 0.5,
    }  # fmt: skip


def test_windows_cover_an_image() -> None:
    assert corners((96, 96)) == [(0, 0)]
    assert corners((50, 200)) == [(0, 0), (0, 96), (0, 104)]


def test_segmentation(run: Run, encoder: Path, tmp_path: Path) -> None:
    data = make_segmentation(tmp_path / "data")
    arguments = ("evaluate", "segmentation", "--encoder", encoder, "--data", data,
                 "--out", tmp_path / "out", "--name", "mine", "--image-size", 64,
                 "--epochs", 12, *COMMON)  # fmt: skip
    result = run(*arguments)
    assert result.exit_code == 0, result.stderr
    rows = rows_of(tmp_path / "out" / "segmentation-mine.json")
    assert set(rows) == {(name, f"seg-{head}", "mIoU") for name in ("mine", "fresh weights")
                         for head in ("linear", "unet")}  # fmt: skip
    assert rows["mine", "seg-unet", "mIoU"] > 0.8
    assert (tmp_path / "out" / "segmentation-mine-masks.png").stat().st_size > 5000
    assert run(*arguments).stdout == result.stdout
    (data / "masks" / "3.png").unlink()
    assert "An image has no mask" in run(*arguments).stderr


def test_oscd(run: Run, encoder: Path, tmp_path: Path) -> None:
    data = make_oscd(tmp_path / "data")
    arguments = ("evaluate", "oscd", "--encoder", encoder, "--data", data, "--out",
                 tmp_path / "out", "--name", "mine", "--epochs", 15, *COMMON)  # fmt: skip
    result = run(*arguments)
    assert result.exit_code == 0, result.stderr
    assert "published: SeCo" in result.stdout
    rows = rows_of(tmp_path / "out" / "oscd-mine.json")
    assert set(rows) == {(name, "unet", metric) for name in ("mine", "fresh weights")
                         for metric in ("precision", "recall", "F1")}  # fmt: skip
    assert rows["mine", "unet", "F1"] > 0.6
    assert (tmp_path / "out" / "oscd-mine-rio.png").exists()
    next(data.glob("**/cm/cm.png")).unlink()
    assert "No test cities" in run(*arguments).stderr
    other = save_random_encoder(tmp_path / "nir.safetensors", ("B8",))
    make_oscd(data)
    bad = run("evaluate", "oscd", "--encoder", other, "--data", data, "--out", tmp_path / "o")
    assert "Cannot read an image" in bad.stderr
    assert bad.stderr.count("\n") == 1
