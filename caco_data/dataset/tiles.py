"""Tiles of a location with all their bands on one grid, their dates and their position."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caco_data.dataset.reader import Dataset
from caco_data.errors import InputError
from caco_data.sentinel2 import PIXEL_M
from caco_data.types import PATCH_PX, PeriodName


@dataclass(frozen=True)
class TileRow:
    """What the index tells about one tile."""

    period: PeriodName
    t: int
    acquired: datetime
    """UTC."""
    image_id: str
    cloud_pct: float
    clear_fraction: float
    cloud_mask: str
    crs: str
    transform: tuple[float, float, float, float, float, float]
    """Affine coefficients of the 10 m grid in rasterio's order."""


def tile_rows(dataset: Dataset, location_id: int) -> list[TileRow]:
    """Index rows of a location, ordered by period and t.

    Raises
    ------
    InputError
        When the data set has no such location.
    """
    here = dataset.index.of([location_id]).to_pylist()
    if not here:
        raise InputError(
            f"No location {location_id}", dataset.root, "Choose a location of index.parquet"
        )
    return [
        TileRow(
            row["period"], row["t"], row["acquired"], row["image_id"], row["cloud_pct"],
            row["clear_fraction"], row["cloud_mask"], row["crs"], tuple(row["affine"]),
        )
        for row in here
    ]  # fmt: skip


def read_tiles(
    dataset: Dataset, location_id: int, period: PeriodName, bands: Sequence[str] | None = None
) -> NDArray[Any]:
    """Read the tiles of a period with several bands on the finest of their grids.

    Parameters
    ----------
    dataset : Dataset
        The data set.
    location_id : int
        The location.
    period : str
        Name of the period.
    bands : sequence of str, optional
        Bands in the wanted order; all bands in the order of `--bands` if None.

    Returns
    -------
    ndarray of uint16 or uint8, shape (T, C, H, W)
        Pixels of coarser bands are repeated over the fine pixels that they cover.

    Raises
    ------
    InputError
        When the data set has no such location or band.
    DatasetError
        When the bytes do not match the index.
    """
    wanted = tuple(bands or dataset.bands)
    if missing := sorted(set(wanted) - set(dataset.bands)):
        raise InputError(
            f"The data set has no band {', '.join(missing)}", dataset.root,
            f"Use bands of {', '.join(dataset.bands)}",
        )  # fmt: skip
    stored = {
        suffix: names for suffix, names in dataset.member_bands.items() if set(names) & set(wanted)
    }
    layers: dict[str, NDArray[Any]] = {}
    side = 0
    for suffix, names in stored.items():  # the finest first
        array = dataset.read_member(location_id, period, suffix)
        side = side or array.shape[-1]
        step = side // array.shape[-1]
        if step > 1:
            array = array.repeat(step, axis=2).repeat(step, axis=3)
        layers |= {name: array[:, i] for i, name in enumerate(names)}
    return np.stack([layers[name] for name in wanted], axis=1)


def pixel_size_m(tiles: NDArray[Any], patch_px: int = PATCH_PX) -> int:
    """Side in metres of the pixels of tiles (..., H, W) that cover a patch of `patch_px`."""
    return patch_px * PIXEL_M // int(tiles.shape[-1])


def location_ids(dataset: Dataset) -> NDArray[np.int64]:
    """Ids of all locations, ascending, (L,)."""
    return dataset.index.location_ids()
