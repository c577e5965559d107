"""The stated errors of the lengths of a degree, compared with PROJ."""

from __future__ import annotations

import numpy as np
from pyproj import Geod

from caco_data.grid import to_lonlat
from caco_data.world.geodesy import (
    LATITUDE_DEGREE_MEAN_M,
    LATITUDE_DEGREE_MIN_M,
    LONGITUDE_DEGREE_M,
)

GEOD = Geod(ellps="WGS84")
LATITUDES = np.arange(0.0, 90.0, 1.0)
STEP_DEG = 1e-3


def distance_m(west: float, south: float, east: float, north: float) -> float:
    return float(GEOD.inv(west, south, east, north)[2])


def test_errors_of_a_degree_of_latitude() -> None:
    exact = np.array([distance_m(0, lat, 0, lat + STEP_DEG) / STEP_DEG for lat in LATITUDES])
    assert (exact > LATITUDE_DEGREE_MIN_M).all()
    assert (exact < LATITUDE_DEGREE_MIN_M * 1.0102).all()
    assert abs(LATITUDE_DEGREE_MEAN_M - distance_m(0, 0, 0, 60) / 60) < 2
    np.testing.assert_allclose(LONGITUDE_DEGREE_M, exact, rtol=0.007)


def test_errors_of_a_degree_of_longitude() -> None:
    exact = np.array([distance_m(0, lat, STEP_DEG, lat) / STEP_DEG for lat in LATITUDES])
    ratio = LONGITUDE_DEGREE_M * np.cos(np.radians(LATITUDES)) / exact
    assert (ratio > 1 - 0.0034).all()
    assert (ratio < 1 + 1e-5).all()


def test_latitude_from_a_northing() -> None:
    northing = np.arange(0, 8_880_000, 10_000)
    _, latitude = to_lonlat(np.full(northing.size, 500_000), northing, 32631)
    np.testing.assert_allclose(northing / LATITUDE_DEGREE_MEAN_M, latitude, atol=0.1)
