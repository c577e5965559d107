"""Images with masks of classes: folders `images` and `masks` with equal file names."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from caco_data.errors import InputError
from caco_data.evaluation.images import SHARE, SUFFIXES

#: Value of pixels that are not used.
IGNORED = 255


@dataclass(frozen=True)
class MaskedImages:
    """Images with masks, by part."""

    images: tuple[Path, ...]
    masks: tuple[Path, ...]
    part: NDArray[np.str_]
    """`train`, `val` or `test` of each image."""
    partition: str
    """How the images were divided, in words."""

    def where(self, part: str) -> NDArray[np.int64]:
        """Positions of the images of a part."""
        return np.flatnonzero(self.part == part)


def find_masked_images(root: Path, seed: int = 0) -> MaskedImages:
    """Find images and masks in `images` and `masks`, or in these within `train`, `val` and `test`.

    Without parts, images are divided at random, 60 % : 20 % : 20 %.

    Raises
    ------
    InputError
        When there are none, or an image has no mask.
    """
    if not root.is_dir():
        raise InputError("No folder here", str(root), "Use the folder of the images as --data")
    parts = [part for part in ("train", "val", "test") if (root / part / "images").is_dir()]
    found: list[tuple[Path, Path, str]] = []
    for part in parts or [""]:
        found += [(*pair, part) for pair in _pairs(root / part)]
    if not found:
        raise InputError(
            "No images", str(root), "Use a folder with the subfolders 'images' and 'masks'"
        )
    part_of = np.array([part for _, _, part in found], dtype="<U5")
    partition = "folders " + ", ".join(parts)
    if not parts:
        order = np.random.default_rng(seed).permutation(len(found))
        count = round(SHARE * len(found))
        part_of[:] = "train"
        part_of[order[:count]], part_of[order[count : 2 * count]] = "test", "val"
        partition = f"random, seed {seed}"
    for part in ("train", "test"):
        if part not in part_of:
            raise InputError(f"The {part} part is empty", str(root), "Use more images")
    return MaskedImages(
        tuple(a for a, _, _ in found), tuple(b for _, b, _ in found), part_of, partition
    )


def _pairs(root: Path) -> list[tuple[Path, Path]]:
    folder = root / "images"
    if not folder.is_dir():
        return []
    images = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    pairs = []
    for image in images:
        masks = sorted((root / "masks").glob(f"{image.stem}.*"))
        if not masks:
            raise InputError("An image has no mask", str(image), "Add it to the folder 'masks'")
        pairs.append((image, masks[0]))
    return pairs


def read_mask(path: Path) -> NDArray[np.int64]:
    """Read a mask of class numbers, (H, W).

    Raises
    ------
    InputError
        When the file cannot be read or is not a mask of whole numbers.
    """
    import rasterio

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
            with rasterio.open(path) as file:
                mask = file.read(1)
    except (rasterio.errors.RasterioError, OSError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise InputError(
            f"Cannot read the mask: {reason}", str(path), "Replace the file"
        ) from error
    if mask.dtype.kind not in "ui":
        raise InputError(f"A mask of type {mask.dtype}", str(path), "Use whole class numbers")
    found: NDArray[np.int64] = mask.astype(np.int64)
    return found


def class_count(masks: Sequence[NDArray[np.int64]]) -> int:
    """Number of classes: the highest number in the masks and one."""
    highest = max(int(mask[mask != IGNORED].max(initial=0)) for mask in masks)
    return max(highest + 1, 2)
