"""Towns: the real cities, and invented villages."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike

from caco_data.grid import false_northing_m, to_lonlat, to_utm
from caco_data.sentinel2 import PIXEL_M
from caco_data.sources.simulated.frame import Frame
from caco_data.sources.simulated.noise import Field, mix, uniform
from caco_data.sources.simulated.salts import WorldSalt
from caco_data.types import Grid
from caco_data.world.cities import Cities, load_cities

#: Radius of a town of the reference population, metres, and that population; the radius grows with
#: this power of the population.
TOWN_M, TOWN_POPULATION, TOWN_GROWTH = 850.0, 20_000, 0.4
#: Smaller places of the city table are treated as if they had this population.
TOWN_MIN_POPULATION = 5000
#: The urban density is 0 beyond this many radii from the centre.
TOWN_REACH = 2.4
#: Cities are searched within this distance of a grid, degrees of a great circle: enough for the
#: reach of the largest city (40 km) and the margin.
TOWN_SEARCH_DEG = 0.6
#: Urban density: value at the centre, and exponent of its decrease with distance.
URBAN_CENTRE, URBAN_EXPONENT = np.float32(1.5), np.float32(1.3)

#: Invented villages: spacing and range of radii, pixels; fraction of cells with a
#: village.
VILLAGE_CELL_PX, VILLAGE_PX, VILLAGE_FRACTION = 420, (9.0, 35.0), 0.6
#: Numbers hashed with a cell's seed, one per attribute.
_EXISTS, _X, _Y, _RADIUS = range(1, 5)


@lru_cache(maxsize=1)
def _cities() -> Cities:
    return load_cities()


@dataclass(frozen=True, slots=True)
class Town:
    """A town or village."""

    x: float
    """Column of the centre, absolute pixels."""
    y: float
    """Row of the centre, absolute pixels."""
    radius_px: float
    """Pixels."""


def towns(grid: Grid, frame: Frame, margin_px: int) -> list[Town]:
    """Return the towns and villages with an effect within a margin around a frame."""
    longitude, latitude = to_lonlat(
        (grid.left_m + grid.right_m) / 2, (grid.top_m + grid.bottom_m) / 2, grid.epsg
    )
    cities = _cities()
    near = np.abs(cities.latitude - latitude) < TOWN_SEARCH_DEG
    turn = np.abs((cities.longitude - longitude + 180.0) % 360.0 - 180.0)
    rows = np.flatnonzero(near & (turn * np.cos(np.radians(latitude)) < TOWN_SEARCH_DEG))
    east, north = to_utm(cities.longitude[rows], cities.latitude[rows], grid.epsg)
    population = np.maximum(cities.population[rows], TOWN_MIN_POPULATION)
    radius = TOWN_M * (population / TOWN_POPULATION) ** TOWN_GROWTH / PIXEL_M
    x, y = east / PIXEL_M, (false_northing_m(grid.epsg) - north) / PIXEL_M
    real = [Town(*town) for town in zip(x.tolist(), y.tolist(), radius.tolist(), strict=True)]
    wide = frame.grown(margin_px)
    return [town for town in [*real, *_villages(wide)] if _reaches(town, wide)]


def _reaches(town: Town, frame: Frame) -> bool:
    reach = TOWN_REACH * town.radius_px
    return (
        frame.x0 - reach < town.x < frame.x0 + frame.width + reach
        and frame.y0 - reach < town.y < frame.y0 + frame.height + reach
    )


def _villages(frame: Frame) -> list[Town]:
    """Return the invented villages, which are smaller than those of the city table."""
    c = VILLAGE_CELL_PX
    rows = np.arange(frame.y0 // c - 1, (frame.y0 + frame.height) // c + 2)[:, None]
    columns = np.arange(frame.x0 // c - 1, (frame.x0 + frame.width) // c + 2)[None, :]
    key = mix(frame.seed, WorldSalt.VILLAGES, rows, columns)
    exists = uniform(key, _EXISTS) < VILLAGE_FRACTION
    x = ((columns + uniform(key, _X)) * c)[exists]
    y = ((rows + uniform(key, _Y)) * c)[exists]
    small, large = VILLAGE_PX
    radius = (small + (large - small) * uniform(key, _RADIUS) ** 2)[exists]
    return [Town(*town) for town in zip(x.tolist(), y.tolist(), radius.tolist(), strict=True)]


def urban_density(towns: list[Town], x: ArrayLike, y: ArrayLike) -> Field:
    """Return the urban density of points: 1 and more in a town's centre, 0 in the open country.

    Parameters
    ----------
    towns : list of Town
    x, y : array_like
        Absolute pixels, broadcast together.

    Returns
    -------
    ndarray of float32
        Of the broadcast shape.
    """
    near = np.zeros(np.broadcast_shapes(np.shape(x), np.shape(y)), dtype=np.float32)
    for town in towns:
        reach = TOWN_REACH * town.radius_px
        east = ((np.asarray(x) - town.x) / reach).astype(np.float32)
        south = ((np.asarray(y) - town.y) / reach).astype(np.float32)
        np.maximum(near, 1 - np.sqrt(east**2 + south**2), out=near)
    return np.asarray(URBAN_CENTRE * near**URBAN_EXPONENT)
