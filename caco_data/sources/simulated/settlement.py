"""Where the sea is and where people live: the real coast, the real cities, invented villages."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from caco_data.grid import false_northing_m, to_lonlat, to_utm
from caco_data.sentinel2 import PIXEL_M
from caco_data.types import Grid
from caco_data.world.cities import Cities, load_cities
from caco_data.world.land import rings_near

from .frame import Frame, Mask
from .noise import Field, mix, uniform

#: How far the shore strays from the map's line, pixels.
SHORE_PX = 24
RING_STEP_DEG = 0.02


def sea(grid: Grid, frame: Frame) -> Mask:
    """Where the sea is: the real coast, made rough below the map's resolution."""
    wide = frame.grown(SHORE_PX)
    north = int(false_northing_m(grid.epsg))
    x = np.array([wide.x0, wide.x0 + wide.width]) * float(PIXEL_M)
    y = -np.array([wide.y0, wide.y0 + wide.height]) * float(PIXEL_M) + north
    lon, lat = to_lonlat(x[[0, 1, 1, 0]], y[[0, 0, 1, 1]], grid.epsg)
    lon = lon[0] + (lon - lon[0] + 180) % 360 - 180
    rings = rings_near(float(lon.min()), float(lat.min()), float(lon.max()), float(lat.max()))
    land = np.zeros((wide.height, wide.width), dtype=np.int32)
    for ring in rings:
        line = _densified(ring)
        east, up = to_utm(line[:, 0], line[:, 1], grid.epsg)
        _cross(land, east / PIXEL_M - wide.x0, (north - up) / PIXEL_M - wide.y0)
    is_sea = land.cumsum(axis=1) % 2 == 0
    if is_sea.all() or not is_sea.any():
        return np.full((frame.height, frame.width), bool(is_sea[0, 0]))
    shift = SHORE_PX * 0.4
    dx = np.clip(frame.fractal(31, (32, 12, 5)) * shift, -SHORE_PX, SHORE_PX).astype(np.int64)
    dy = np.clip(frame.fractal(32, (32, 12, 5)) * shift, -SHORE_PX, SHORE_PX).astype(np.int64)
    i = np.arange(frame.height)[:, None] + SHORE_PX + dy
    j = np.arange(frame.width)[None, :] + SHORE_PX + dx
    return np.asarray(is_sea[i, j])


def _densified(ring: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ring with vertices at least every `RING_STEP_DEG`: parallels are curved in UTM."""
    pieces = np.ceil(np.abs(np.diff(ring, axis=0)).max(axis=1) / RING_STEP_DEG)
    where = np.concatenate([[0], np.cumsum(np.maximum(pieces, 1))])
    at = np.arange(where[-1] + 1)
    return np.stack([np.interp(at, where, ring[:, k]) for k in (0, 1)], axis=1)


def _cross(land: NDArray[np.int32], x: NDArray[np.float64], y: NDArray[np.float64]) -> None:
    """Count, at the first pixel east of them, the crossings of a ring with the rows' middles."""
    height, width = land.shape
    top, bottom = np.minimum(y[:-1], y[1:]), np.maximum(y[:-1], y[1:])
    west = np.minimum(x[:-1], x[1:])
    for k in np.flatnonzero((bottom >= 0) & (top < height) & (west < width)):
        # Half-open, so that a vertex on a row's middle counts once.
        rows = np.arange(max(np.ceil(top[k] - 0.5), 0), min(np.ceil(bottom[k] - 0.5), height))
        f = (rows + 0.5 - y[k]) / (y[k + 1] - y[k])
        column = np.maximum(np.ceil(x[k] + f * (x[k + 1] - x[k]) - 0.5), 0)
        seen = column < width
        np.add.at(land, (rows[seen].astype(np.int64), column[seen].astype(np.int64)), 1)


#: Radius in metres of a town of 20,000 people, and how it grows with population.
TOWN_M, TOWN_GROWTH = 850.0, 0.4
#: Nothing of a town is felt beyond this many radii.
TOWN_REACH = 2.4
#: Spacing of invented villages, and their radii, pixels.
VILLAGE_CELL_PX, VILLAGE_PX = 420, (9.0, 35.0)


@lru_cache(maxsize=1)
def _cities() -> Cities:
    return load_cities()


@dataclass(frozen=True, slots=True)
class Town:
    """A place where people live."""

    x: float
    """Centre, absolute pixels."""
    y: float
    radius_px: float


def towns(grid: Grid, frame: Frame, margin_px: int) -> list[Town]:
    """Towns and villages that are felt within a margin around a frame."""
    longitude, latitude = to_lonlat(
        (grid.left_m + grid.right_m) / 2, (grid.top_m + grid.bottom_m) / 2, grid.epsg
    )
    cities = _cities()
    # Degrees enough for the largest city (a reach of 40 km) and the margin.
    near = np.abs(cities.latitude - latitude) < 0.6
    turn = np.abs((cities.longitude - longitude + 180.0) % 360.0 - 180.0)
    rows = np.flatnonzero(near & (turn * np.cos(np.radians(latitude)) < 0.6))
    east, north = to_utm(cities.longitude[rows], cities.latitude[rows], grid.epsg)
    people = np.maximum(cities.population[rows], 5000)
    radius = TOWN_M * (people / 20_000) ** TOWN_GROWTH / PIXEL_M
    x, y = east / PIXEL_M, (false_northing_m(grid.epsg) - north) / PIXEL_M
    real = [Town(*town) for town in zip(x.tolist(), y.tolist(), radius.tolist(), strict=True)]
    wide = frame.grown(margin_px)
    return [town for town in [*real, *_villages(wide)] if _is_felt(town, wide)]


def _is_felt(town: Town, frame: Frame) -> bool:
    reach = TOWN_REACH * town.radius_px
    return (
        frame.x0 - reach < town.x < frame.x0 + frame.width + reach
        and frame.y0 - reach < town.y < frame.y0 + frame.height + reach
    )


def _villages(frame: Frame) -> list[Town]:
    """Villages too small for the city table."""
    c = VILLAGE_CELL_PX
    rows = np.arange(frame.y0 // c - 1, (frame.y0 + frame.height) // c + 2)[:, None]
    columns = np.arange(frame.x0 // c - 1, (frame.x0 + frame.width) // c + 2)[None, :]
    key = mix(frame.seed, 41, rows, columns)
    there = uniform(key, 1) < 0.6
    x = ((columns + uniform(key, 2)) * c)[there]
    y = ((rows + uniform(key, 3)) * c)[there]
    small, large = VILLAGE_PX
    radius = (small + (large - small) * uniform(key, 4) ** 2)[there]
    return [Town(*town) for town in zip(x.tolist(), y.tolist(), radius.tolist(), strict=True)]


def urbanity(places: list[Town], x: ArrayLike, y: ArrayLike) -> Field:
    """How urban points are: 1 and more in the middle of a town, 0 in the open country.

    Parameters
    ----------
    places : list of Town
    x, y : array_like
        Absolute pixels, broadcast together.
    """
    near = np.zeros(np.broadcast_shapes(np.shape(x), np.shape(y)), dtype=np.float32)
    for town in places:
        reach = TOWN_REACH * town.radius_px
        east = ((np.asarray(x) - town.x) / reach).astype(np.float32)
        south = ((np.asarray(y) - town.y) / reach).astype(np.float32)
        np.maximum(near, 1 - np.sqrt(east**2 + south**2), out=near)
    return np.asarray(np.float32(1.5) * near ** np.float32(1.3))
