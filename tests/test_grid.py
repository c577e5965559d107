"""The patch grid compared with PROJ's UTM zones, and the properties that tiles rely on."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyproj import Geod, Transformer

from caco_data.grid import (
    SNAP_M,
    false_northing_m,
    grid_footprint,
    patch_corners,
    patch_grid,
    to_lonlat,
    to_utm,
    unwrap,
    utm_epsg,
)
from caco_data.types import PATCH_M, Location

LONGITUDES = st.floats(-180, 180)
LATITUDES = st.floats(-80, 84)


@pytest.mark.parametrize(
    ("longitude", "latitude", "epsg"),
    [
        (2.2, 41.4, 32631),
        (-58.4, -34.6, 32721),
        (-180.0, 10.0, 32601),
        (180.0, 10.0, 32601),
        (179.999, -10.0, 32760),
        (0.0, 0.0, 32631),
        (5.3, 60.4, 32632),  # Bergen: 32V reaches west to 3 degrees
        (2.9, 60.4, 32631),
        (8.9, 78.0, 32631),  # Svalbard: 31X, 33X, 35X, 37X
        (9.1, 78.0, 32633),
        (20.9, 78.0, 32633),
        (21.1, 78.0, 32635),
        (33.1, 78.0, 32637),
        (41.9, 78.0, 32637),
        (42.1, 78.0, 32638),
    ],
)
def test_utm_zone_follows_mgrs(longitude: float, latitude: float, epsg: int) -> None:
    assert utm_epsg(longitude, latitude) == epsg


def test_mixed_zones_agree_with_proj() -> None:
    generator = np.random.default_rng(1)
    longitude, latitude = generator.uniform(-180, 180, 2000), generator.uniform(-80, 84, 2000)
    zones = utm_epsg(longitude, latitude)
    easting, northing = to_utm(longitude, latitude, zones)
    for zone in np.unique(zones):
        here = zones == zone
        proj = Transformer.from_crs(4326, int(zone), always_xy=True)
        x, y = proj.transform(longitude[here], latitude[here])
        np.testing.assert_allclose(easting[here], x, atol=1e-6)
        np.testing.assert_allclose(northing[here], y, atol=1e-6)


@given(LONGITUDES, LATITUDES)
def test_utm_coordinates_are_converted_back_to_the_point(longitude: float, latitude: float) -> None:
    zone = int(utm_epsg(longitude, latitude))
    there_and_back = to_lonlat(*to_utm(longitude, latitude, zone), zone)
    assert unwrap(there_and_back[0], longitude) == pytest.approx(longitude, abs=1e-9)
    assert there_and_back[1] == pytest.approx(latitude, abs=1e-9)


@given(LONGITUDES, LATITUDES)
def test_patch_is_snapped_and_around_its_point(longitude: float, latitude: float) -> None:
    zone = int(utm_epsg(longitude, latitude))
    grid = patch_grid(Location(0, longitude, latitude, zone))
    assert grid.left_m % SNAP_M == 0
    assert (grid.top_m - false_northing_m(zone)) % SNAP_M == 0  # from the equator, as MGRS
    assert grid.right_m - grid.left_m == grid.top_m - grid.bottom_m == PATCH_M
    easting, northing = to_utm(longitude, latitude, zone)
    assert abs((grid.left_m + grid.right_m) / 2 - easting) <= SNAP_M / 2 + 1e-6
    assert abs((grid.top_m + grid.bottom_m) / 2 - northing) <= SNAP_M / 2 + 1e-6


@given(LONGITUDES, LATITUDES)
def test_corners_are_clockwise_and_continuous(longitude: float, latitude: float) -> None:
    zone = int(utm_epsg(longitude, latitude))
    lons, lats = patch_corners(longitude, latitude, zone)
    footprint = grid_footprint(patch_grid(Location(0, longitude, latitude, zone)))
    assert lats[0].tolist() == list(footprint.latitudes)
    assert np.ptp(lons) < 1
    x, y = lons[0] - lons[0, 0], lats[0] - lats[0, 0]
    assert np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y) < 0
    _, _, sides = Geod(ellps="WGS84").inv(
        lons[0], lats[0], np.roll(lons[0], 1), np.roll(lats[0], 1)
    )
    # The scale of UTM is 0.9996 on the central meridian and 1.0010 at the edge of a zone; the
    # zones of Norway and Svalbard are wider.
    np.testing.assert_allclose(sides, PATCH_M, rtol=3e-3)


def test_corners_in_several_zones_equal_those_of_each_zone() -> None:
    longitude, latitude = np.array([2.2, 179.999, -58.4]), np.array([41.4, -16.5, -34.6])
    zones = utm_epsg(longitude, latitude)
    lons, lats = patch_corners(longitude, latitude, zones)
    for i in range(3):
        one = patch_corners(longitude[i], latitude[i], int(zones[i]))
        np.testing.assert_array_equal(lons[i], one[0][0])
        np.testing.assert_array_equal(lats[i], one[1][0])
    assert lons[1].max() > 180  # continuous across the antimeridian


@given(st.floats(-1000, 1000), st.floats(-1000, 1000))
def test_unwrap_keeps_the_meridian(longitude: float, near: float) -> None:
    unwrapped = float(unwrap(longitude, near))
    assert abs(unwrapped - near) <= 180 + 1e-9
    turns = (unwrapped - longitude) / 360
    assert turns == pytest.approx(round(turns), abs=1e-9)
