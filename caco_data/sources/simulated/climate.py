"""Dryness and cloudiness by place and season: the real climate as a sum of Gaussian regions."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from caco_data.sources.simulated.noise import Field, at, mix, uniform
from caco_data.sources.simulated.salts import SceneSalt

Floats = NDArray[np.float64]

# fmt: off
#: Dry regions: longitude and latitude of the centre, half widths in degrees, dryness.
_DRY = np.array([
    (10, 23, 28, 8, 1.0), (30, 27, 7, 6, 1.0), (46, 23, 12, 9, 1.0), (41, 33, 6, 4, 0.75),
    (56, 32, 9, 5, 0.85), (71, 27, 5, 4, 0.8), (60, 41, 12, 5, 0.8), (83, 40, 10, 4, 1.0),
    (103, 42, 12, 4, 0.8), (88, 33, 10, 4, 0.6), (45, 6, 6, 6, 0.75), (10, 15, 28, 3, 0.45),
    (18, -24, 6, 7, 0.8), (21, -31, 4, 3, 0.55), (130, -25, 14, 6, 0.85), (-70, -20, 3, 10, 1.0),
    (-78, -10, 3, 6, 0.8), (-68, -44, 4, 7, 0.6), (-40, -9, 4, 4, 0.5), (-113, 33, 6, 5, 0.85),
    (-116, 39, 6, 4, 0.55), (-104, 27, 5, 5, 0.6), (-1.5, 38, 3, 2, 0.4),
])
#: Regions with dry summers and wet winters: the Mediterranean, California, Chile, the Cape, Perth.
_DRY_SUMMER = np.array([
    (15, 38, 24, 6, 1.0), (-121, 38, 5, 6, 1.0), (-71, -34, 4, 4, 1.0), (19, -33, 4, 2, 0.8),
    (117, -32, 4, 3, 0.9),
])
#: Oceanic regions, with mild winters and cool summers.
_OCEANIC = np.array([
    (2, 53, 9, 6, 1.0), (6, 52.5, 4, 4, 1.0), (-8, 54, 8, 6, 1.0),
    (7, 58, 7, 5, 0.8), (-4, 44, 6, 2, 0.8),
    (-124, 48, 4, 6, 1.0), (172, -42, 8, 6, 1.0), (146, -40, 4, 3, 0.9), (-74, -42, 3, 6, 1.0),
])
#: Regions with a summer monsoon.
_MONSOON = np.array([
    (82, 22, 12, 7, 1.0), (104, 18, 10, 8, 0.9), (117, 28, 10, 7, 0.6), (-5, 10, 20, 5, 0.8),
])
# fmt: on

YEAR_DAYS = 365.25
#: Warmest day of the northern year, days from 2015-07-01.
MIDSUMMER_DAY = 16

#: Cloudiness index of the mean climate, in standard deviations of the day's weather.
MEAN_CLOUDINESS = 0.05
#: Tropical rain belt: weight, half width in degrees, and seasonal shift in degrees of latitude.
RAIN_BELT, RAIN_BELT_WIDTH, RAIN_BELT_SHIFT = 0.75, 9, 8
#: Storm tracks, strongest in winter: weight, latitude and half width in degrees.
STORMS, STORM_LATITUDE, STORM_WIDTH = 0.3, 58, 14
#: Weights of dryness, of dry summers and of the monsoon.
DRY_CLIMATE, DRY_SUMMER, MONSOON = 2.1, 0.75, 1.3
#: Values of `season` at which dry summers end and the monsoon begins.
DRY_SUMMER_UNTIL, MONSOON_FROM = 0.6, 0.35
#: The day's weather: weights of fronts, which neighbouring tiles share, and of a random number per
#: tile; lattice cells per degree, and size of the fronts in cells (4 degrees).
FRONT_WEIGHT, LOCAL_WEIGHT, CELLS_PER_DEGREE, FRONT_CELLS = 1.5, 0.5, 10, 40


def _strongest(regions: Floats, longitude: ArrayLike, latitude: ArrayLike) -> Floats:
    """Return the largest value of any region at points."""
    lon, lat = np.asarray(longitude)[..., None], np.asarray(latitude)[..., None]
    east = ((lon - regions[:, 0] + 180.0) % 360.0 - 180.0) / regions[:, 2]
    north = (lat - regions[:, 1]) / regions[:, 3]
    return np.asarray((regions[:, 4] * np.exp(-(east**2) - north**2)).max(axis=-1))


def dryness(longitude: ArrayLike, latitude: ArrayLike) -> Floats:
    """Return the dryness of the climate at points: 0 humid, 1 the centre of a desert."""
    return _strongest(_DRY, longitude, latitude)


def dry_summer(longitude: ArrayLike, latitude: ArrayLike) -> Floats:
    """Return the degree of a climate with dry summers at points, 0..1."""
    return _strongest(_DRY_SUMMER, longitude, latitude)


def oceanic(longitude: ArrayLike, latitude: ArrayLike) -> Floats:
    """Return the degree of oceanic climate at points, 0..1."""
    return _strongest(_OCEANIC, longitude, latitude)


def season(latitude: ArrayLike, days: ArrayLike) -> Floats:
    """Return the season: 1 in the middle of the hemisphere's summer, -1 in its winter.

    Parameters
    ----------
    latitude : array_like
        Degrees.
    days : array_like
        Days from 2015-07-01.
    """
    phase = np.cos(2 * np.pi * (np.asarray(days) - MIDSUMMER_DAY) / YEAR_DAYS)
    return np.asarray(np.where(np.asarray(latitude) >= 0, phase, -phase))


def cloud_pct(seed: int, longitude: float, latitude: float, days: NDArray[np.int64]) -> Floats:
    """Return CLOUDY_PIXEL_PERCENTAGE of scenes, by the climate and the day's weather.

    Parameters
    ----------
    seed : int
        Seed of the archive.
    longitude, latitude : float
        Centre of the scenes' tile, degrees.
    days : ndarray of int, shape (N,)
        Days from 2015-07-01.

    Returns
    -------
    ndarray of float64, shape (N,)
        0..100; most are nearly clear or nearly overcast.
    """
    summer = season(latitude, days)
    rains_at = RAIN_BELT_SHIFT * summer * np.sign(latitude)
    storms = np.exp(-(((abs(latitude) - STORM_LATITUDE) / STORM_WIDTH) ** 2))
    climate = (
        MEAN_CLOUDINESS
        + RAIN_BELT * np.exp(-(((latitude - rains_at) / RAIN_BELT_WIDTH) ** 2))
        + STORMS * storms * (1 - summer)
        - DRY_CLIMATE * dryness(longitude, latitude)
        - DRY_SUMMER * dry_summer(longitude, latitude) * (DRY_SUMMER_UNTIL + summer)
        + MONSOON * _strongest(_MONSOON, longitude, latitude) * (summer - MONSOON_FROM)
    )
    x, y = int(longitude * CELLS_PER_DEGREE), int(-latitude * CELLS_PER_DEGREE)
    front = at(mix(seed, SceneSalt.CLOUD_FRONT, days), x, y, FRONT_CELLS)
    local = uniform(seed, SceneSalt.LOCAL_CLOUD, days, x, y) * 2 - 1
    return 100 * _normal_cdf(FRONT_WEIGHT * front + LOCAL_WEIGHT * local + climate)


def _normal_cdf(z: Field | Floats) -> Floats:
    """Return the normal distribution function, to within 2e-4 (Bowling et al., 2009)."""
    return np.asarray(1 / (1 + np.exp(-1.5976 * z - 0.07056 * z**3)))
