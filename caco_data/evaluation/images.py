"""Labelled images of a classification task: files, classes and parts (train, val, test)."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from caco_data.errors import InputError

#: File names of images.
SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff")
PARTS = ("train", "val", "test")
#: Names of the folders of the parts.
_PART_FOLDERS = {
    "train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val",
    "test": "test", "testing": "test",
}  # fmt: skip
#: Share of a class that becomes the validation or the test part where the data have none.
SHARE = 0.2


@dataclass(frozen=True)
class LabelledImages:
    """N images with their classes and parts."""

    paths: tuple[Path, ...]
    """Files, sorted by class and name."""
    labels: NDArray[np.int64]
    """(N,), index into `classes`."""
    classes: tuple[str, ...]
    """Names of the classes, sorted."""
    part: NDArray[np.str_]
    """(N,): `train`, `val` or `test`."""
    partition: str
    """How the images were divided, in words."""

    def where(self, *parts: str) -> NDArray[np.int64]:
        """Positions of the images of some parts."""
        return np.flatnonzero(np.isin(self.part, parts))


def find_images(root: Path, split_files: Sequence[str] = (), seed: int = 0) -> LabelledImages:
    """Find labelled images.

    Parameters
    ----------
    root : Path
        Folder with one subfolder per class, or with the folders `train`, `val` and `test` of such
        subfolders. Without a test part, `val` is the test part. A missing validation part is drawn
        from the training part, a fifth of each class. Without any parts, images are divided at
        random, 60 % : 20 % : 20 % of each class.
    split_files : sequence of str
        Text files with one image per line, whose names contain `train`, `val` or `test`, or CSV
        files with the columns `filename` and `split`. Images are matched by name without suffix;
        those in no list are not used.
    seed : int
        Random seed of drawn parts.

    Raises
    ------
    InputError
        When there are no images, fewer than two classes, or a list does not fit.
    """
    if not root.is_dir():
        raise InputError("No folder here", str(root), "Use the folder of the images as --data")
    root = _descend(root)
    folders = {path.name: path for path in _folders(root)}
    parts = {_PART_FOLDERS[n.lower()]: p for n, p in folders.items() if n.lower() in _PART_FOLDERS}
    found: list[tuple[str, Path, str]] = []
    if "train" in parts and len(parts) > 1 and len(parts) == len(folders):
        for part, folder in parts.items():
            found += [(name, path, part) for name, path in _class_images(_descend(folder))]
    else:
        found = [(name, path, "") for name, path in _class_images(root)]
    if not found:
        raise InputError(
            "No images in subfolders", str(root),
            f"Use a folder with one subfolder per class of {', '.join(SUFFIXES)} files",
        )  # fmt: skip
    found.sort(key=lambda one: (one[0], one[1].name, str(one[1])))
    classes = tuple(sorted({name for name, _, _ in found}))
    if len(classes) < 2:
        raise InputError(
            f"One class only: {classes[0]}", str(root), "Use a folder with one subfolder per class"
        )
    labels = np.array([classes.index(name) for name, _, _ in found])
    paths = tuple(path for _, path, _ in found)
    listed = np.array([one for _, _, one in found], dtype="<U5")
    partition = f"random, seed {seed}"
    if split_files:
        listed = _listed(paths, split_files)
        partition = "lists: " + ", ".join(Path(name).name for name in split_files)
    elif listed[0]:
        partition = "folders " + ", ".join(one for one in PARTS if one in parts)
    images = LabelledImages(paths, labels, classes, listed, partition)
    return _complete(_listed_only(images), seed)


def _folders(root: Path) -> list[Path]:
    return sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))


def _images(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES)


def _descend(root: Path) -> Path:
    """Enter a folder that contains nothing but one folder without images of its own."""
    while len(inner := _folders(root)) == 1 and not _images(root) and not _images(inner[0]):
        root = inner[0]
    return root


def _class_images(root: Path) -> list[tuple[str, Path]]:
    return [(folder.name, path) for folder in _folders(root) for path in _images(folder)]


def _listed(paths: Sequence[Path], split_files: Sequence[str]) -> NDArray[np.str_]:
    """Part of each image according to lists; empty for images in no list."""
    part: dict[str, str] = {}
    for name, one in (pair for file in split_files for pair in _read_list(Path(file))):
        if part.setdefault(name, one) != one:
            raise InputError(
                f"{name} is in two parts, {part[name]} and {one}", ", ".join(split_files),
                "Give lists without common images",
            )  # fmt: skip
    known = {path.stem for path in paths}
    missing = sorted(part.keys() - known)
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise InputError(
            f"The folder has no image {missing[0]}{more}", ", ".join(split_files),
            "Give the lists of these images",
        )  # fmt: skip
    return np.array([part.get(path.stem, "") for path in paths], dtype="<U5")


def _read_list(path: Path) -> Iterable[tuple[str, str]]:
    """Names without suffix, each with its part."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not a text file"
        raise InputError(
            f"Cannot read the list of a part: {reason}", str(path), "Check --split-file"
        ) from error
    if path.suffix.lower() == ".csv":
        rows = list(csv.DictReader(text.splitlines()))
        if not rows or not {"filename", "split"} <= rows[0].keys():
            raise InputError(
                "The list has no columns 'filename' and 'split'", str(path),
                "Name the columns in the first line",
            )  # fmt: skip
        pairs = [(row["filename"], (row["split"] or "").strip().lower()) for row in rows]
    else:
        words = [w for w in re.split(r"[^a-z]+", path.stem.lower()) if w in _PART_FOLDERS]
        if not words:
            raise InputError(
                "The name of the list contains none of train, val, test", str(path),
                "Rename it, or use a CSV file with the columns 'filename' and 'split'",
            )  # fmt: skip
        pairs = [(line.strip(), words[-1]) for line in text.splitlines() if line.strip()]
    for name, part in pairs:
        if part not in _PART_FOLDERS:
            raise InputError(f"Unknown part '{part}'", str(path), "Use train, val or test")
        yield Path(name).stem, _PART_FOLDERS[part]


def _listed_only(images: LabelledImages) -> LabelledImages:
    """Leave out the images in no list, where some are in one."""
    keep = np.flatnonzero(images.part != "")
    if not len(keep) or len(keep) == len(images.paths):
        return images
    return LabelledImages(
        tuple(images.paths[i] for i in keep), images.labels[keep], images.classes,
        images.part[keep], images.partition,
    )  # fmt: skip


def _complete(images: LabelledImages, seed: int) -> LabelledImages:
    """Give every image a part, drawing those that are missing."""
    part = images.part.copy()
    partition = images.partition
    if not (part != "").any():
        part[:] = "train"
        _draw(part, images.labels, "test", SHARE, seed)
        _draw(part, images.labels, "val", SHARE / (1 - SHARE), seed + 1)
    elif "test" not in part:
        part[part == "val"] = "test"
        partition += "; val is the test part"
    if "val" not in part:
        _draw(part, images.labels, "val", SHARE, seed + 1)
        partition += f"; a fifth of train for validation, seed {seed}"
    for name in PARTS:
        if not (part == name).any():
            raise InputError(f"The {name} part is empty", partition, "Use more images")
    absent = set(range(len(images.classes))) - set(images.labels[part == "train"].tolist())
    if absent:
        raise InputError(
            f"The training part has no image of class {images.classes[min(absent)]}", partition,
            "Use a training part with all classes",
        )  # fmt: skip
    return LabelledImages(images.paths, images.labels, images.classes, part, partition)


def _draw(
    part: NDArray[np.str_], labels: NDArray[np.int64], name: str, share: float, seed: int
) -> None:
    """Move a share of each class from the training part to another one."""
    rng = np.random.default_rng(seed)
    for label in np.unique(labels):
        members = np.flatnonzero((labels == label) & (part == "train"))
        chosen = rng.permutation(members)[: round(share * len(members))]
        part[chosen] = name
