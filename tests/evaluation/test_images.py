from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from caco_data.errors import InputError
from caco_data.evaluation.image_reader import read_image
from caco_data.evaluation.images import find_images
from tests.support.labelled_pictures import CLASSES, make_pictures, write_picture


def count(part: np.ndarray) -> dict[str, int]:
    names, numbers = np.unique(part, return_counts=True)
    return dict(zip(names.tolist(), numbers.tolist(), strict=True))


def test_a_folder_without_parts_is_divided_class_by_class(tmp_path: Path) -> None:
    make_pictures(tmp_path / "archive" / "2750", 10)
    images = find_images(tmp_path / "archive")
    assert images.classes == tuple(CLASSES)
    assert count(images.part) == {"train": 18, "val": 6, "test": 6}
    for label in range(3):
        assert count(images.part[images.labels == label]) == {"train": 6, "val": 2, "test": 2}
    again = find_images(tmp_path)
    assert again.paths == images.paths
    assert (again.part == images.part).all()
    assert (find_images(tmp_path, seed=1).part != images.part).any()


def test_folders_of_parts(tmp_path: Path) -> None:
    for part, number in (("train", 10), ("val", 2)):
        make_pictures(tmp_path / part, number)
    images = find_images(tmp_path)
    assert count(images.part) == {"train": 24, "val": 6, "test": 6}
    tested = {images.paths[i].parent.parent.name for i in images.where("test")}
    assert tested == {"val"}
    assert "val is the test part" in images.partition
    make_pictures(tmp_path / "test", 1)
    images = find_images(tmp_path)
    assert count(images.part) == {"train": 30, "val": 6, "test": 3}


def test_lists_of_parts_are_matched_without_suffix(tmp_path: Path) -> None:
    make_pictures(tmp_path / "data", 4)
    for part, numbers in (("train", (1, 2)), ("val", (3,)), ("test", (4,))):
        names = [f"{name}_{i}.jpg" for name in CLASSES for i in numbers]
        (tmp_path / f"eurosat-spatial-{part}.txt").write_text("\n".join(names) + "\n")
    lists = sorted(str(path) for path in tmp_path.glob("*.txt"))
    images = find_images(tmp_path / "data", lists)
    assert {images.paths[i].stem for i in images.where("test")} == {f"{c}_4" for c in CLASSES}
    table = tmp_path / "split.csv"
    rows = [f"{name}_{i}.tif,{part}" for name in CLASSES
            for i, part in ((1, "train"), (2, "val"), (3, "test"))]  # fmt: skip
    table.write_text("\n".join(["filename,split", *rows]))
    images = find_images(tmp_path / "data", [str(table)])
    assert len(images.paths) == 9  # those in no list are left out

    table.write_text("filename,split\nLake_9.tif,train")
    with pytest.raises(InputError, match="no image Lake_9"):
        find_images(tmp_path / "data", [str(table)])
    table.write_text("filename,split\nTown_1.tif,rest")
    with pytest.raises(InputError, match="Unknown part 'rest'"):
        find_images(tmp_path / "data", [str(table)])
    with pytest.raises(InputError, match="in two parts"):
        find_images(tmp_path / "data", [*lists, str(_copy(tmp_path, lists[0]))])


def _copy(folder: Path, name: str) -> Path:
    target = folder / "other-train.txt"
    target.write_text(Path(name).read_text())
    return target


def test_folders_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No folder here"):
        find_images(tmp_path / "none")
    with pytest.raises(InputError, match="No images in subfolders"):
        find_images(tmp_path)
    write_picture(tmp_path / "Lake" / "1.png", np.zeros((3, 4, 4), np.uint8))
    with pytest.raises(InputError, match="One class only"):
        find_images(tmp_path)


def test_bands_and_unit_of_files(tmp_path: Path) -> None:
    values = np.arange(13 * 4 * 4, dtype=np.uint16).reshape(13, 4, 4)
    write_picture(tmp_path / "a.tif", values, "GTiff")
    found = read_image(tmp_path / "a.tif")
    assert found.unit == "DN"
    assert found.bands[8:] == ("B9", "B10", "B11", "B12", "B8A")  # EuroSAT's order
    assert (found.values == values).all()
    write_picture(tmp_path / "b.png", values[:1].astype(np.uint8))
    assert read_image(tmp_path / "b.png").values.shape == (3, 4, 4)
    write_picture(tmp_path / "c.tif", values[:2], "GTiff")
    with pytest.raises(InputError, match="2 bands without known names"):
        read_image(tmp_path / "c.tif")
    assert read_image(tmp_path / "c.tif", ("B8", "B4")).bands == ("B8", "B4")
    (tmp_path / "d.png").write_text("no image")
    with pytest.raises(InputError, match="Cannot read the image"):
        read_image(tmp_path / "d.png")
