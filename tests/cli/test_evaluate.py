from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
import torch
from PIL import Image

from tests.conftest import Run
from tests.support.labelled_pictures import make_pictures, save_random_encoder, write_picture

torch.set_num_threads(1)

EUROSAT = Path("/work/shared/real/eurosat_subset")
SIZE = ("--image-size", 32, "--device", "cpu", "--bootstrap", 20)


@pytest.fixture(autouse=True)
def _few_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Search among 4 values of C instead of 40."""
    monkeypatch.setattr("caco_data.evaluation.classifiers.C_COUNT", 4)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_random_encoder(tmp_path_factory.mktemp("run") / "encoder.safetensors").parent


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pictures(tmp_path_factory.mktemp("pictures"), 15)


def test_eurosat_writes_table_json_and_pictures(
    run: Run, encoder: Path, pictures: Path, tmp_path: Path
) -> None:
    out = tmp_path / "evaluation"
    arguments = ("evaluate", "eurosat", "--encoder", encoder, "--data", pictures, "--out", out,
                 *SIZE, "--adapt-bn", "--name", "mine")  # fmt: skip
    result = run(*arguments)
    assert result.exit_code == 0, result.stderr
    assert "published: CACo" in result.stdout
    assert "random split" in result.stderr
    found = json.loads((out / "eurosat-mine.json").read_text())
    named = {(row["name"], row["method"]): row for row in found["results"]}
    names = ("mine", "mine, BatchNorm adapted", "fresh weights", "fresh weights, BatchNorm adapted",
             "image statistics")  # fmt: skip
    assert set(named) == {(name, method) for name in names for method in ("knn5", "linear")}
    assert named["image statistics", "linear"]["metric_value"] > 0.8
    for row in named.values():
        assert row["ci_lower"] <= row["metric_value"] <= row["ci_upper"]
        assert len(row["resamples"]) == 20
    assert found["card"]["architecture"] == "resnet18"
    for name in ("confusion", "mistakes"):
        with Image.open(out / f"eurosat-mine-{name}.png") as picture:
            assert len(set(picture.convert("L").tobytes())) > 20
    with (out / "results.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 10

    before = {path.name: path.stat().st_mtime_ns for path in (out / "cache").iterdir()}
    again = run(*arguments)
    assert again.stdout == result.stdout
    assert {p.name: p.stat().st_mtime_ns for p in (out / "cache").iterdir()} == before
    with (out / "results.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 10


def test_finetuning_learns_the_colours(run: Run, encoder: Path, tmp_path: Path) -> None:
    pictures = make_pictures(tmp_path / "pictures", 8, spread=20)
    out = tmp_path / "evaluation"
    arguments = ("evaluate", "eurosat", "--encoder", encoder, "--data", pictures, "--out", out,
                 *SIZE, "--finetune", "--finetune-epochs", 3)  # fmt: skip
    result = run(*arguments)
    assert result.exit_code == 0, result.stderr
    (path,) = out.glob("*.json")
    rows = json.loads(path.read_text())["results"]
    tuned = [row for row in rows if row["method"] == "finetune"]
    assert len(tuned) == 2
    assert all(row["best_lr"] in (1e-4, 1e-3) for row in tuned)
    assert max(row["metric_value"] for row in tuned) > 0.6
    assert not list((out / "cache").glob("*.pt"))
    assert run(*arguments).stdout == result.stdout


def test_nearest_neighbours_of_geotiffs_with_named_bands(
    run: Run, tmp_path: Path, pictures: Path
) -> None:
    from caco_data.evaluation.image_reader import read_image

    encoder = save_random_encoder(tmp_path / "four.safetensors", ("B4", "B3", "B2", "B8"))
    for path in pictures.rglob("*.png"):
        values = read_image(path).values[[0, 1, 2, 1]].astype("uint16") * 20
        write_picture(tmp_path / "tiles" / path.parent.name / f"{path.stem}.tif", values, "GTiff")
    arguments = ("evaluate", "knn", "--encoder", encoder, "--data", tmp_path / "tiles",
                 "--out", tmp_path / "out", *SIZE)  # fmt: skip
    assert "--bands" in run(*arguments).stderr
    result = run(*arguments, "--bands", "B4,B3,B2,B8", "--normalization", "zscore")
    assert result.exit_code == 0, result.stderr
    (path,) = (tmp_path / "out").glob("*.json")
    rows = json.loads(path.read_text())["results"]
    assert {row["method"] for row in rows} == {"knn5"}
    assert path.name == "knn-four.json"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--encoder", "nowhere"), "No encoder here (nowhere)"),
        (("--data", "nowhere"), "No folder here (nowhere)"),
        (("--split-file", "nowhere-train.txt"), "Cannot read the list of a part"),
        (("--image-size", 5), "at least 32"),
        (("--bootstrap", 3), "at least 10"),
        (("--unit", "reflectance"), "are no reflectances"),
        (("--bands", "B4,B3"), "3 bands without known names"),
        (("--bands", "B4,B3,B8"), "no band B2"),
        (("--device", "tpu"), "--device"),
    ],
)
def test_bad_input_is_one_line(
    run: Run, encoder: Path, pictures: Path, tmp_path: Path, arguments: tuple[object, ...],
    words: str,
) -> None:  # fmt: skip
    result = run("evaluate", "eurosat", "--encoder", encoder, "--data", pictures,
                 "--out", tmp_path / "out", *SIZE, *arguments)  # fmt: skip
    assert result.exit_code == 2, result.stderr
    assert words in result.stderr
    assert result.stderr.count("\n") == 1


def test_settings_of_a_task_in_a_file(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text('[evaluate.eurosat]\nencoder = "from-the-file"\n')
    assert "from-the-file" in run("--config", file, "evaluate", "eurosat").stderr
    file.write_text('[evaluate.lake]\nencoder = "x"\n')
    assert "No command 'evaluate lake'" in run("--config", file, "evaluate", "eurosat").stderr


@pytest.mark.skipif(not EUROSAT.exists(), reason="the pictures are not on this machine")
def test_real_pictures(run: Run, encoder: Path, tmp_path: Path) -> None:
    for part, number in (("train", 8), ("val", 3)):
        for folder in (EUROSAT / part).iterdir():
            target = tmp_path / "data" / part / folder.name
            target.mkdir(parents=True)
            for path in sorted(folder.iterdir())[:number]:
                (target / path.name).symlink_to(path)
    result = run("evaluate", "eurosat", "--encoder", encoder, "--data", tmp_path / "data",
                 "--out", tmp_path / "out", *SIZE)  # fmt: skip
    assert result.exit_code == 0, result.stderr
    (path,) = (tmp_path / "out").glob("*.json")
    found = json.loads(path.read_text())
    assert len(found["classes"]) == 10
    assert max(row["metric_value"] for row in found["results"]) > 0.3  # 0.1 by chance
