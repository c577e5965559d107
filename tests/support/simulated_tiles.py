"""Tiles of the simulated archive for tests and statistics."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from caco_data.grid import grid_footprint, patch_grid, utm_epsg
from caco_data.sentinel2 import ALL_BANDS
from caco_data.sources.simulated.ground import make_ground
from caco_data.sources.simulated.land_cover import Cover
from caco_data.sources.simulated.settings import SimulatedSettings
from caco_data.sources.simulated.source import SimulatedSource
from caco_data.sources.simulated.view import MARGIN_PX
from caco_data.types import Grid, Location, Scene
from tests.support.image_statistics import Floats


@lru_cache(maxsize=1)
def source() -> SimulatedSource:
    return SimulatedSettings().open()


def grid_at(longitude: float, latitude: float) -> Grid:
    return patch_grid(Location(0, longitude, latitude, int(utm_epsg(longitude, latitude))))


def day(year: int, month: int, number: int = 1) -> datetime:
    return datetime(year, month, number, tzinfo=UTC)


def scenes_of(grid: Grid, start: datetime, end: datetime) -> list[Scene]:
    """Scenes in the grid's UTM zone, by date."""
    listed = source().list_scenes(grid_footprint(grid), start, end)
    own = [scene for scene in listed if scene.epsg == grid.epsg]
    return sorted(own, key=lambda scene: scene.acquired)


def clear_tiles(
    grid: Grid, start: datetime, end: datetime, bands: Sequence[str] = ALL_BANDS
) -> Iterator[Floats]:
    """Clear tiles of an interval, clearest scene first, (C, H, W).

    Up to 2 % of the pixels may be classified as cloud: bright roofs and sand are.
    """
    for scene in sorted(scenes_of(grid, start, end), key=lambda scene: scene.cloud_pct):
        scl = source().read_tile(scene, grid, ["SCL"])
        if np.isin(scl, (2, 4, 5, 6)).mean() > 0.98:
            yield source().read_tile(scene, grid, bands).astype(np.float64)


#: EuroSAT's images are top-of-atmosphere and show 2750 DN as 255: the atmosphere adds these DN to
#: red, green and blue and dims the surface.
_PATH_RADIANCE_DN = np.array([205.0, 340.0, 595.0])[:, None, None]


def as_eurosat(rgb: Floats) -> Floats:
    """Convert red, green and blue DN to 8 bits like EuroSAT, (3, H, W)."""
    return np.asarray(np.clip((0.9 * rgb + _PATH_RADIANCE_DN) / 2750 * 255, 0, 255))


def windows_of(cover: Cover, grid: Grid, share: float = 0.8, size: int = 64) -> list[
    tuple[slice, slice]
]:  # fmt: skip
    """Windows of a grid in which a land cover has at least a share of the pixels."""
    there = ground_of(grid)[0] == cover
    steps = range(0, there.shape[0] - size + 1, size)
    found = [(slice(i, i + size), slice(j, j + size)) for i in steps for j in steps]
    return [window for window in found if there[window].mean() >= share]


@lru_cache(maxsize=64)
def ground_of(grid: Grid) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Land cover of a grid before any change, and the days of the changes (infinite for none)."""
    inner = slice(MARGIN_PX, -MARGIN_PX)
    ground = make_ground(grid, 0)
    return ground.before.cover[inner, inner], ground.change_day[inner, inner]
