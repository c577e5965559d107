"""Candidate points: placed near cities or uniformly, and tested against land and region.

Source: paper, section 3.5.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pyproj import Geod

from caco_data.grid import LATITUDE_MAX, LATITUDE_MIN, patch_corners, utm_epsg
from caco_data.sampling.random_words import Integers, random_words
from caco_data.sampling.settings import SampleSettings
from caco_data.world.cities import Cities
from caco_data.world.land_mask import LandMask
from caco_data.world.region import Region

_WGS84 = Geod(ellps="WGS84")

#: A sampled point: degrees; position in the city table (-1 for `uniform`) and geodesic distance
#: from the city in metres (NaN for `uniform`); number of rejected attempts before this one.
POINT = np.dtype(
    [
        ("longitude", np.float64),
        ("latitude", np.float64),
        ("city", np.int64),
        ("city_distance_m", np.float64),
        ("redraws", np.int64),
    ]
)

Points = NDArray[np.void]


@dataclass(frozen=True)
class World:
    """Cities, land and region that a sample is taken from."""

    cities: Cities
    """Cities to choose from; not used by `uniform`."""
    land: LandMask
    region: Region


def candidate_points(
    settings: SampleSettings, world: World, rows: Integers, attempts: Integers
) -> tuple[Points, NDArray[np.bool_]]:
    """Place a point for each pair of a row and an attempt, and test it.

    Parameters
    ----------
    settings : SampleSettings
        Strategy, sigma and seed.
    world : World
        Cities, land and region.
    rows, attempts : ndarray of int64, shape (N,)
        Pairs that select the random numbers.

    Returns
    -------
    points : ndarray of POINT, shape (N,)
    usable : ndarray of bool, shape (N,)
        Whether the point is between the UTM latitudes, in the region, and on land; near cities, a
        patch that contains some land is enough.
    """
    words = random_words(settings.seed, rows, attempts)
    # The upper 53 bits as a double, 0 <= u < 1.
    u = (words >> np.uint64(11)).astype(np.float64) * 2.0**-53
    points = np.empty(rows.size, dtype=POINT)
    points["redraws"] = attempts
    place = _place_uniformly if settings.strategy == "uniform" else _place_near_city
    place(settings, world, u, points)

    longitude, latitude = points["longitude"], points["latitude"]
    usable = (latitude >= LATITUDE_MIN) & (latitude <= LATITUDE_MAX)
    if settings.within is not None:
        usable &= world.region.contains(longitude, latitude)
    on_land = world.land.contains(longitude[usable], latitude[usable])
    if settings.strategy != "uniform":
        at_sea = np.flatnonzero(usable)[~on_land]
        lon, lat = longitude[at_sea], latitude[at_sea]
        # Around a point at sea, the patch contains land only if a shore crosses it.
        on_land[~on_land] = world.land.touches(*patch_corners(lon, lat, utm_epsg(lon, lat)))
    usable[usable] = on_land
    return points, usable


def _place_near_city(
    settings: SampleSettings, world: World, u: NDArray[np.float64], points: Points
) -> None:
    cities = world.cities
    city = (u[:, 0] * len(cities)).astype(np.int64)
    # Box and Muller: the radius of a 2-D Gaussian has a Rayleigh distribution, its direction is
    # uniform. A geodesic gives the same distances at every latitude and in every direction.
    distance = settings.sigma_m * np.sqrt(-2.0 * np.log1p(-u[:, 1]))
    longitude, latitude, _ = _WGS84.fwd(
        cities.longitude[city], cities.latitude[city], 360.0 * u[:, 2], distance
    )
    points["longitude"], points["latitude"] = longitude, latitude
    points["city"], points["city_distance_m"] = city, distance


def _place_uniformly(
    settings: SampleSettings, world: World, u: NDArray[np.float64], points: Points
) -> None:
    region = world.region
    latitudes = np.clip([region.latitude_min, region.latitude_max], LATITUDE_MIN, LATITUDE_MAX)
    south, north = np.sin(np.radians(latitudes))
    width = region.longitude_max - region.longitude_min
    points["longitude"] = (region.longitude_min + u[:, 0] * width + 180.0) % 360.0 - 180.0
    points["latitude"] = np.degrees(np.arcsin(south + u[:, 1] * (north - south)))
    points["city"], points["city_distance_m"] = -1, np.nan
