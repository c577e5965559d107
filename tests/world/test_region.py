"""Regions: boxes and files, also across the antimeridian."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from pyproj import Geod

from caco_data.errors import InputError
from caco_data.world.region import parse_region


def test_box_of_numbers() -> None:
    region = parse_region(" 3.3, 50.75,7.25 ,5.36e1")
    inside = region.contains(np.array([5.0, 365.0, 3.2, 5.0]), np.array([52.0, 52.0, 52.0, 54.0]))
    assert inside.tolist() == [True, True, False, False]


def test_box_across_the_antimeridian() -> None:
    region = parse_region("175,-22,-175,-12")
    inside = region.contains(np.array([179.0, -179.0, 0.0, 174.0]), np.full(4, -17.0))
    assert inside.tolist() == [True, True, False, False]


@pytest.mark.parametrize("text", ["10,20,30,95", "10,30,20,20", "10,20,10,30", "190,0,200,10"])
def test_invalid_boxes(text: str) -> None:
    with pytest.raises(InputError, match="The box is not"):
        parse_region(text)


@pytest.mark.parametrize("text", ["1,2,3", "nix.gpkg", "a,b,c,d"])
def test_text_that_is_neither_a_file_nor_a_box_is_an_error(text: str) -> None:
    with pytest.raises(InputError, match="Neither a file nor a box"):
        parse_region(text)


def test_file_across_the_antimeridian_has_a_narrow_box(tmp_path: Path) -> None:
    path = tmp_path / "fiji.geojson"
    parts = [shapely.box(177, -19, 180, -16), shapely.box(-180, -19, -178, -16)]
    gpd.GeoDataFrame(geometry=[shapely.MultiPolygon(parts)], crs=4326).to_file(path)
    region = parse_region(str(path))
    assert (region.longitude_min, region.longitude_max) == (177, 182)
    inside = region.contains(np.array([179.0, 181.0, -179.0, -177.0]), np.full(4, -17.0))
    assert inside.tolist() == [True, True, True, False]


@given(st.floats(-180, 180), st.floats(-60, 70), st.sampled_from(["box", "file"]))
def test_every_point_near_the_region_is_within_reach(
    longitude: float, latitude: float, kind: str
) -> None:
    """Every point within 30 km of the region is within reach."""
    region = _REGIONS[kind]
    geod = Geod(ellps="WGS84")
    azimuths = np.arange(0.0, 360.0, 30.0)
    ones = np.ones_like(azimuths)
    there = geod.fwd(longitude * ones, latitude * ones, azimuths, 29_000 * ones)
    if region.contains(np.asarray(there[0]), np.asarray(there[1])).any():
        assert region.within_reach(np.array([longitude]), np.array([latitude]), 30_000.0)[0]


_REGIONS = {"box": parse_region("150,-70,-120,75")}


@pytest.fixture(autouse=True, scope="module")
def _file_region(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("region") / "region.geojson"
    parts = [shapely.box(-180, -70, -120, 75), shapely.box(150, -70, 180, 75)]
    gpd.GeoDataFrame(geometry=parts, crs=4326).to_file(path)
    _REGIONS["file"] = parse_region(str(path))


@pytest.mark.parametrize("kind", ["box", "file"])
def test_reach_excludes_distant_points(kind: str) -> None:
    region = _REGIONS[kind]
    near = region.within_reach(np.array([0.0, 149.9, -119.9, 148.0]), np.full(4, 0.0), 30_000.0)
    assert near.tolist() == [False, True, True, False]
