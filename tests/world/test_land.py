"""The land mask compared with shapely on the uncut polygons."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from caco_data.errors import InputError
from caco_data.world import cities, land
from caco_data.world.land import load_land, mask_of, rings_near
from caco_data.world.land_mask import LandMask
from caco_data.world.subdivide import subdivide

#: Natural Earth polygons; set LAND_10M to the uncut file to test the bundled pieces against it.
NATURAL_EARTH = Path(os.environ.get("LAND_10M", land.BUNDLED))

#: A continent with a lake and an island in the lake, a triangle at the antimeridian, and one that
#: overlaps the continent.
SHAPES = [
    shapely.Polygon(
        [(-3.3, -4.2), (7.1, -5.9), (9.7, 5.2), (1.0, 3.1), (-2.9, 6.4)],
        [[(0.1, -1.1), (3.2, -2.3), (4.1, 1.9), (0.7, 1.2)]],
    ),
    shapely.Polygon([(1.5, -0.5), (2.5, -0.5), (2.0, 0.6)]),
    shapely.Polygon([(178.1, 10.2), (180, 11.0), (180, 14.4)]),
    shapely.Polygon([(-180, 11.0), (-177.7, 12.6), (-180, 14.4)]),
    shapely.Polygon([(8.0, 0.0), (14.3, 0.7), (8.2, 2.9)]),
]
WHOLE = shapely.union_all(SHAPES)


@cache
def small_mask(cell_deg: float) -> LandMask:
    return mask_of(subdivide(SHAPES, cell_deg), cell_deg)


@cache
def natural_earth() -> NDArray[Any]:
    return np.asarray(gpd.read_parquet(NATURAL_EARTH).geometry.values)


def quads(longitude: NDArray[Any], latitude: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Tilted convex quadrilaterals of about 0.025 degrees, clockwise."""
    return (
        longitude[:, None] + np.array([-0.012, 0.013, 0.011, -0.014]),
        latitude[:, None] + np.array([0.012, 0.011, -0.013, -0.012]),
    )


@pytest.mark.parametrize("cell_deg", [0.25, 0.5, 1.0])
def test_pieces_cover_the_land_without_overlap(cell_deg: float) -> None:
    table = subdivide(SHAPES, cell_deg)
    pieces = _shapes(table)
    assert shapely.is_valid(pieces).all()
    assert shapely.area(pieces).sum() == pytest.approx(WHOLE.area, rel=1e-12)
    assert shapely.union_all(pieces).symmetric_difference(WHOLE).area < 1e-9


def _shapes(table: Any) -> list[Any]:
    return [
        shapely.Polygon(
            [(p["x"], p["y"]) for p in rings[0]],
            [[(p["x"], p["y"]) for p in ring] for ring in rings[1:]],
        )
        for rings in table["geometry"].to_pylist()
    ]


@given(st.floats(-10, 16), st.floats(-8, 16), st.sampled_from([0.25, 0.5, 1.0]))
def test_contains_agrees_with_shapely(longitude: float, latitude: float, cell_deg: float) -> None:
    point = shapely.Point(longitude, latitude)
    if WHOLE.boundary.distance(point) > 1e-9:
        assert small_mask(cell_deg).contains(longitude, latitude)[0] == WHOLE.contains(point)


@given(st.floats(-10, 16), st.floats(-8, 16), st.sampled_from([0.25, 0.5, 1.0]))
def test_touches_finds_every_shore(longitude: float, latitude: float, cell_deg: float) -> None:
    lons, lats = quads(np.array([longitude]), np.array([latitude]))
    patch = shapely.Polygon(np.stack([lons[0], lats[0]], axis=1))
    mask = small_mask(cell_deg)
    meets = mask.touches(lons, lats)[0] or mask.contains(longitude, latitude)[0]
    gap = WHOLE.distance(patch)
    if gap > 1e-9 or WHOLE.intersection(patch).area > 1e-9:
        assert meets == (gap == 0)


def test_bundled_land_agrees_with_shapely() -> None:
    generator = np.random.default_rng(3)
    near = cities.load_cities(top=4000)
    longitude = np.concatenate(
        [generator.uniform(-180, 180, 3000), near.longitude + generator.normal(0, 0.1, 4000)]
    )
    latitude = np.concatenate(
        [generator.uniform(-90, 90, 3000), near.latitude + generator.normal(0, 0.1, 4000)]
    )
    mask = load_land()
    points = shapely.STRtree(shapely.points(longitude, latitude))
    found = points.query(natural_earth(), predicate="intersects")[1]
    expected = np.isin(np.arange(7000), found)
    np.testing.assert_array_equal(mask.contains(longitude, latitude), expected)

    lons, lats = quads(longitude, latitude)
    patches = shapely.STRtree(shapely.polygons(np.stack([lons, lats], axis=-1)))
    found = patches.query(natural_earth(), predicate="intersects")[1]
    meets = mask.touches(lons, lats) | mask.contains(longitude, latitude)
    np.testing.assert_array_equal(meets, np.isin(np.arange(7000), found))
    assert (meets & ~expected).sum() > 20  # some patches have their centre at sea


def test_antimeridian_and_poles() -> None:
    mask = small_mask(0.5)
    assert mask.contains([179.9, -179.9, 180.1, 539.9], [12.0, 12.0, 12.0, 12.0]).all()
    lons, lats = quads(np.array([180.0, -180.0]), np.array([12.0, 12.0]))
    assert mask.touches(*quads(np.array([180.0]), np.array([11.0]))).all()
    assert not mask.touches(lons, lats + 30).any()
    assert load_land().contains([0.0, 10.0, -77.0], [-90.0, 90.0, -85.0]).tolist() == [
        True, False, True,
    ]  # fmt: skip


@pytest.mark.parametrize(
    "box",
    [(2.0, 41.2, 2.4, 41.6), (4.0, -2.0, 6.5, 1.0), (177.0, -19.0, 181.0, -15.0),
     (-183.0, -19.0, -179.0, -15.0), (177.0, -19.0, -179.0, -15.0)],
)  # fmt: skip
def test_even_odd_rule_of_rings_near_agrees_with_contains(box: tuple[float, ...]) -> None:
    west, south, east, north = box
    east = east + 360 if east < west else east
    x, y = np.meshgrid(np.linspace(west, east, 71)[:-1] + 1e-4, np.linspace(south, north, 61)[:-1])
    longitude, latitude = x.ravel(), y.ravel() + 1e-4
    odd = np.zeros(longitude.size, dtype=bool)
    for ring in rings_near(*box):
        assert (ring[0] == ring[-1]).all()
        odd ^= shapely.contains_xy(shapely.Polygon(ring), longitude, latitude)
    np.testing.assert_array_equal(odd, load_land().contains(longitude, latitude))
    assert 0 < odd.sum() < odd.size


def test_no_rings_in_the_open_sea() -> None:
    assert rings_near(-30.0, 30.0, -29.0, 31.0) == []


def test_land_from_a_user_file(tmp_path: Path) -> None:
    path = tmp_path / "land.gpkg"
    gpd.GeoDataFrame(geometry=SHAPES[:2], crs=4326).to_crs(3857).to_file(path)
    mask = load_land(path)
    assert mask.contains([-1.0, 1.0, 2.0, 100.0], [0.0, 0.3, 0.0, 0.0]).tolist() == [
        True, False, True, False,
    ]  # fmt: skip
    assert load_land(path) is mask


def test_unusable_land(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such land file"):
        load_land(tmp_path / "none.gpkg")
    points = tmp_path / "points.geojson"
    gpd.GeoDataFrame(geometry=[shapely.Point(0, 0)], crs=4326).to_file(points)
    with pytest.raises(InputError, match="contains no polygons"):
        load_land(points)
    bare = tmp_path / "bare.parquet"
    gpd.GeoDataFrame(geometry=SHAPES, crs=None).to_parquet(bare)
    with pytest.raises(InputError, match="no CRS"):
        load_land(bare)
    rubbish = tmp_path / "rubbish.gpkg"
    rubbish.write_bytes(b"not a vector file")
    with pytest.raises(InputError, match="Cannot read the land file"):
        load_land(rubbish)
