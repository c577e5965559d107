"""Climate: where it is dry, when it is cloudy; a sketch of the real world in a few bumps."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .noise import Field, at, mix, uniform

Floats = NDArray[np.float64]

# fmt: off
#: Longitude and latitude of the middle, half-widths in degrees, and how dry.
_DRY = np.array([
    (10, 23, 28, 8, 1.0), (30, 27, 7, 6, 1.0), (46, 23, 12, 9, 1.0), (41, 33, 6, 4, 0.75),
    (56, 32, 9, 5, 0.85), (71, 27, 5, 4, 0.8), (60, 41, 12, 5, 0.8), (83, 40, 10, 4, 1.0),
    (103, 42, 12, 4, 0.8), (88, 33, 10, 4, 0.6), (45, 6, 6, 6, 0.75), (10, 15, 28, 3, 0.45),
    (18, -24, 6, 7, 0.8), (21, -31, 4, 3, 0.55), (130, -25, 14, 6, 0.85), (-70, -20, 3, 10, 1.0),
    (-78, -10, 3, 6, 0.8), (-68, -44, 4, 7, 0.6), (-40, -9, 4, 4, 0.5), (-113, 33, 6, 5, 0.85),
    (-116, 39, 6, 4, 0.55), (-104, 27, 5, 5, 0.6), (-1.5, 38, 3, 2, 0.4),
])
#: Where summers are dry and winters wet: the Mediterranean, California, Chile, the Cape, Perth.
_DRY_SUMMER = np.array([
    (15, 38, 24, 6, 1.0), (-121, 38, 5, 6, 1.0), (-71, -34, 4, 4, 1.0), (19, -33, 4, 2, 0.8),
    (117, -32, 4, 3, 0.9),
])
#: Where the summer monsoon rains.
_MONSOON = np.array([
    (82, 22, 12, 7, 1.0), (104, 18, 10, 8, 0.9), (117, 28, 10, 7, 0.6), (-5, 10, 20, 5, 0.8),
])
# fmt: on


def _strongest(bumps: Floats, longitude: ArrayLike, latitude: ArrayLike) -> Floats:
    lon, lat = np.asarray(longitude)[..., None], np.asarray(latitude)[..., None]
    east = ((lon - bumps[:, 0] + 180.0) % 360.0 - 180.0) / bumps[:, 2]
    north = (lat - bumps[:, 1]) / bumps[:, 3]
    return np.asarray((bumps[:, 4] * np.exp(-(east**2) - north**2)).max(axis=-1))


def dryness(longitude: ArrayLike, latitude: ArrayLike) -> Floats:
    """How dry the climate is at points: 0 humid, 1 the heart of a desert."""
    return _strongest(_DRY, longitude, latitude)


def summer(latitude: ArrayLike, days: ArrayLike) -> Floats:
    """Season: 1 in the middle of the hemisphere's summer, -1 in its winter.

    Parameters
    ----------
    latitude : array_like
        Degrees.
    days : array_like
        Days from 2015-07-01.
    """
    phase = np.cos(2 * np.pi * (np.asarray(days) - 16) / 365.25)
    return np.asarray(np.where(np.asarray(latitude) >= 0, phase, -phase))


def cloud_pct(seed: int, longitude: float, latitude: float, days: NDArray[np.int64]) -> Floats:
    """CLOUDY_PIXEL_PERCENTAGE of scenes of a place, 0..100, by the climate and the day's fronts.

    Parameters
    ----------
    seed : int
    longitude, latitude : float
        Middle of the scenes' tile, degrees.
    days : ndarray of int, shape (N,)
        Days from 2015-07-01.

    Returns
    -------
    ndarray of float64, shape (N,)
        Many are clear, many overcast, fewer between.
    """
    season = summer(latitude, days)
    # The belt of tropical rains follows the sun.
    rains_at = 8 * season * np.sign(latitude)
    tendency = (
        0.05
        + 0.75 * np.exp(-(((latitude - rains_at) / 9) ** 2))
        + 0.3 * np.exp(-(((abs(latitude) - 58) / 14) ** 2)) * (1 - season)
        - 2.1 * dryness(longitude, latitude)
        - 0.75 * _strongest(_DRY_SUMMER, longitude, latitude) * (0.6 + season)
        + 1.3 * _strongest(_MONSOON, longitude, latitude) * (season - 0.35)
    )
    x, y = int(longitude * 10), int(-latitude * 10)
    front = at(mix(seed, 11, days), x, y, 40)
    local = uniform(seed, 12, days, x, y) * 2 - 1
    return 100 * _share_of_normal(1.5 * front + 0.5 * local + tendency)


def _share_of_normal(z: Field | Floats) -> Floats:
    """Normal distribution function, to 2e-4: near enough for clouds, and quick."""
    return np.asarray(1 / (1 + np.exp(-1.5976 * z - 0.07056 * z**3)))
