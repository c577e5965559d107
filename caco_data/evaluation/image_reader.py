"""Reading of image files: pixels, names of the bands, unit of the values."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from caco_data.errors import InputError
from caco_data.sentinel2 import ALL_BANDS, RGB_BANDS
from caco_data.training.models.preprocess import Unit, band_name

#: Bands of files without band names, by their number. 13: the order of EuroSAT, whose B8A is last.
USUAL_BANDS = {
    3: RGB_BANDS,
    12: ALL_BANDS,
    13: ("B1", "B2", "B3", "B4", "B5", "B6", "B7", "B8", "B9", "B10", "B11", "B12", "B8A"),
}
_PICTURES = (".jpg", ".jpeg", ".png")


class Pixels(NamedTuple):
    """Pixels of an image."""

    values: NDArray[Any]
    """(C, H, W)."""
    bands: tuple[str, ...]
    """Names of the C bands."""
    unit: Unit
    """Unit of the values."""


def read_image(path: Path, bands: Sequence[str] | None = None, unit: Unit | None = None) -> Pixels:
    """Read an image with GDAL.

    Parameters
    ----------
    path : Path
        JPEG, PNG, TIFF or any other raster file.
    bands : sequence of str, optional
        Names of the bands; if None, those in the file, or the usual ones for their number.
    unit : str, optional
        Unit of the values; if None, `display` for JPEG and PNG, `uint8` for other 8-bit files, and
        `DN` for other types.

    Raises
    ------
    InputError
        When the file cannot be read or its bands are unknown.
    """
    import rasterio

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
            with rasterio.open(path) as file:
                values = file.read()
                names = [name or "" for name in file.descriptions]
    except (rasterio.errors.RasterioError, OSError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise InputError(
            f"Cannot read the image: {reason}", str(path), "Remove or replace the file"
        ) from error
    if unit == "reflectance" and values.dtype.kind != "f":
        raise InputError(
            f"Values of type {values.dtype} are no reflectances", str(path), "Use another --unit"
        )
    picture = path.suffix.lower() in _PICTURES
    if picture and len(values) == 4:
        values = values[:3]  # without transparency
    if picture and len(values) == 1:
        values = np.repeat(values, 3, axis=0)
    known = bands or _names(names, len(values))
    if known is None or len(known) != len(values):
        raise InputError(
            f"{len(values)} bands without known names", str(path),
            "Name them in their order, for example --bands B4,B3,B2",
        )  # fmt: skip
    natural: Unit = "display" if picture else "uint8" if values.dtype == np.uint8 else "DN"
    return Pixels(values, tuple(known), unit or natural)


def _names(described: Sequence[str], count: int) -> tuple[str, ...] | None:
    """Band names by the descriptions in the file if all are Sentinel-2 bands, else by number."""
    names = tuple(band_name(name) for name in described[:count])
    if len(names) == count and set(names) <= {*ALL_BANDS, "B10"}:
        return names
    return USUAL_BANDS.get(count)


def read_images(
    paths: Sequence[Path], bands: Sequence[str] | None = None, unit: Unit | None = None
) -> list[Pixels]:
    """Read several images."""
    return [read_image(path, bands, unit) for path in paths]
