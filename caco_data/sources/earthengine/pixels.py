"""Pixel requests and their responses in NumPy's file format."""

from __future__ import annotations

import io
import threading
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caco_data.errors import PermanentError
from caco_data.grid import SNAP_M
from caco_data.sentinel2 import PIXEL_M
from caco_data.types import Grid

#: Label under which the requests appear in the project's monitoring and bills (Earth Engine guide,
#: "Computation monitoring").
WORKLOAD_TAG = "caco-data"
#: Maximum size of an uncompressed response (Earth Engine guide, "Quotas").
MAX_NBYTES = 48 * 1024 * 1024
#: Maximum bytes per pixel of a band; the data type is known from the response only.
_BAND_NBYTES = 4
_SNAP_PX = SNAP_M // PIXEL_M
_MAX_DN = np.iinfo(np.uint16).max
_HEADER_LOCK = threading.Lock()


def pixels_query(asset_id: str, grid: Grid, bands: Sequence[str]) -> dict[str, Any]:
    """Return the parameters of `ee.data.getPixels` for a grid in the image's CRS."""
    a, b, c, d, e, f = grid.transform
    return {
        "assetId": asset_id,
        "fileFormat": "NPY",
        "bandIds": list(bands),
        "grid": {
            "dimensions": {"width": grid.width_px, "height": grid.height_px},
            "affineTransform": {
                "scaleX": a, "shearX": b, "translateX": c,
                "shearY": d, "scaleY": e, "translateY": f,
            },
            "crsCode": grid.crs,
        },
        "workloadTag": WORKLOAD_TAG,
    }  # fmt: skip


def strips(grid: Grid, bands: int) -> list[Grid]:
    """Cut a grid into strips of rows, each within the limit of one request.

    Edges are on multiples of 60 m, so that 60 m pixels are not divided.
    """
    rows = MAX_NBYTES // (grid.width_px * bands * _BAND_NBYTES) // _SNAP_PX * _SNAP_PX
    return [
        replace(
            grid,
            top_m=grid.top_m - first * grid.pixel_m,
            height_px=min(rows, grid.height_px - first),
        )
        for first in range(0, grid.height_px, rows)
    ]


def read_npy(npy: bytes) -> NDArray[np.void]:
    """Return the array of a `.npy` file without a copy; `np.load` would copy it twice.

    Raises
    ------
    ValueError
        When the file is incomplete or not in this format.
    """
    # "NPY format", versions 1 to 3: the magic string, two bytes of version, the header's length.
    length_end = 10 if npy[6:7] == b"\x01" else 12
    start = length_end + int.from_bytes(npy[8:length_end], "little")
    shape, fortran, dtype = _header(npy[:start])
    order: Any = "F" if fortran else "C"
    return np.frombuffer(npy, dtype, offset=start).reshape(shape, order=order)


@lru_cache(maxsize=64)
def _header(header: bytes) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Read the header of a `.npy` file, which is the same for almost every tile of a run.

    The lock is needed because NumPy parses it with `ast`, which in Python 3.11 sometimes fails in
    concurrent threads ("AST constructor recursion depth mismatch").
    """
    file = io.BytesIO(header)
    version = np.lib.format.read_magic(file)
    with _HEADER_LOCK:
        if version == (1, 0):
            return np.lib.format.read_array_header_1_0(file)
        # Version 3 differs from version 2 in the encoding of names that are not ASCII.
        return np.lib.format.read_array_header_2_0(file)


def to_dn(layer: NDArray[Any], band: str) -> NDArray[np.uint16]:
    """Convert a band of any integer type to uint16; negative values become 0.

    Harmonised DN are negative where an older DN was below the offset of 1,000.

    Raises
    ------
    PermanentError
        When the values are not integers or exceed 65,535.
    """
    if layer.dtype.kind not in "iu":
        raise PermanentError(f"Band {band} has the type {layer.dtype}, not an integer type")
    if np.iinfo(layer.dtype).max > _MAX_DN and layer.max(initial=0) > _MAX_DN:
        raise PermanentError(f"Band {band} has values above {_MAX_DN}", f"maximum {layer.max()}")
    if layer.dtype.kind == "i":
        layer = layer.clip(0)
    return layer.astype(np.uint16)
