"""Files of OSCD: two co-registered Sentinel-2 images per city, and a map of the changes.

The folder is that of the published archives: `Onera Satellite Change Detection dataset - Images`
with `CITY/imgs_1_rect/B02.tif`, `CITY/imgs_2_rect/B02.tif`, ..., and the folders of train and test
labels with `CITY/cm/CITY-cm.tif` or `CITY/cm/cm.png`. `train.txt` and `test.txt` list the cities.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caco_data.errors import InputError

#: Value of changed pixels in CITY-cm.tif, whose other pixels have 1.
_CHANGED_TIF = 2


@dataclass(frozen=True)
class CityFiles:
    """Files of a city."""

    name: str
    part: str
    """`train` or `test`."""
    before: Path
    """Folder of the first image."""
    after: Path
    label: Path


@dataclass(frozen=True)
class City:
    """Pixels of a city."""

    name: str
    before: NDArray[np.uint16]
    """(C, H, W), DN at 10 m."""
    after: NDArray[np.uint16]
    changed: NDArray[np.bool_]
    """(H, W)."""


def find_cities(root: Path) -> list[CityFiles]:
    """Find the cities with images and labels; the test cities are those with test labels.

    Raises
    ------
    InputError
        When there are no training or no test cities.
    """
    if not root.is_dir():
        raise InputError("No folder here", str(root), "Use the folder of OSCD as --data")
    images = {path.parent.name: path.parent for path in sorted(root.glob("**/imgs_1_rect"))}
    found: list[CityFiles] = []
    for label in sorted([*root.glob("**/cm/*-cm.tif"), *root.glob("**/cm/cm.png")]):
        name = label.parent.parent.name
        if name not in images or any(one.name == name for one in found):
            continue
        part = "test" if "test" in label.parent.parent.parent.name.lower() else "train"
        folder = images[name]
        found.append(CityFiles(name, part, folder / "imgs_1_rect", folder / "imgs_2_rect", label))
    for part in ("train", "test"):
        if not any(one.part == part for one in found):
            raise InputError(
                f"No {part} cities with images and labels", str(root),
                "Unpack the archives of images, train labels and test labels into one folder",
            )  # fmt: skip
    return found


def read_city(files: CityFiles, bands: Sequence[str]) -> City:
    """Read the bands of both dates, and the changes.

    Raises
    ------
    InputError
        When a file is missing, cannot be read, or has another size.
    """
    label = _read(files.label)
    changed = label >= (_CHANGED_TIF if files.label.suffix == ".tif" else 128)
    before, after = (
        np.stack([_band(folder, band, changed.shape) for band in bands])
        for folder in (files.before, files.after)
    )
    return City(files.name, before, after, changed)


def _band(folder: Path, band: str, shape: tuple[int, ...]) -> NDArray[np.uint16]:
    match = re.fullmatch(r"B(\d+)(A?)", band)
    name = f"B{int(match[1]):02d}{match[2]}" if match and not match[2] else band
    pixels = _read(folder / f"{name}.tif")
    if pixels.shape != shape:
        raise InputError(
            f"A band has {pixels.shape} pixels instead of {shape}", str(folder / f"{name}.tif"),
            "Unpack the archive again",
        )  # fmt: skip
    return pixels.astype(np.uint16)


def _read(path: Path) -> NDArray[Any]:
    import rasterio

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
            with rasterio.open(path) as file:
                found: NDArray[Any] = file.read(1)
                return found
    except (rasterio.errors.RasterioError, OSError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise InputError(
            f"Cannot read an image: {reason}", str(path), "Unpack the archive again"
        ) from error
