"""Listings: the region that is sent, pages, and entries that are valid, skipped or unreadable."""

from __future__ import annotations

import copy
import json
import math
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from shapely.affinity import translate

from caco_data.download.plan import covers
from caco_data.errors import TransientError
from caco_data.grid import grid_footprint, patch_grid, utm_epsg
from caco_data.sources.earthengine.listing import MAX_PAGES, parse_scene, read_listing
from caco_data.sources.geojson import region
from caco_data.types import Footprint, Location

ENTRY: dict[str, Any] = {
    "id": "COPERNICUS/S2_SR_HARMONIZED/x",
    "startTime": "2020-01-01T10:00:00.123Z",
    "properties": {"CLOUDY_PIXEL_PERCENTAGE": 3},
    "bands": [{"grid": {"crsCode": "EPSG:32601"}}],
    "geometry": {
        "type": "Polygon",
        "coordinates": [[[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 0.0]]],
    },
}


def entry(**change: Any) -> dict[str, Any]:
    return copy.deepcopy(ENTRY) | change


def ring(*vertices: list[float]) -> dict[str, Any]:
    return {"geometry": {"type": "Polygon", "coordinates": [list(vertices)]}}


def clouds(value: Any) -> dict[str, Any]:
    return {"properties": {"CLOUDY_PIXEL_PERCENTAGE": value}}


@pytest.mark.parametrize(
    ("time", "hour"),
    [
        ("2020-01-01T10:00:00", 10),
        ("2020-01-01T10:00:00Z", 10),
        ("2020-01-01T10:00:00.123456789Z", 10),
        ("2020-01-01T12:00:00+02:00", 10),
        ("2020-01-01T01:30:00-08:30", 10),
    ],
)
def test_times_are_converted_to_utc(time: str, hour: int) -> None:
    scene = parse_scene(entry(startTime=time))
    assert scene is not None
    assert scene.acquired.tzinfo is UTC
    assert scene.acquired.replace(microsecond=0) == datetime(2020, 1, 1, hour, tzinfo=UTC)


@pytest.mark.parametrize(
    "change",
    [
        {"startTime": "yesterday"},
        {"startTime": "0001-01-01T00:00:00+10:00"},
        {"startTime": None},
        {"id": 7},
        {"bands": []},
        {"bands": None},
        {"bands": [{"grid": {"crsCode": "EPSG:x"}}]},
        {"properties": {}},
        clouds(math.nan),
        clouds(math.inf),
        clouds("many"),
        clouds(None),
        {"geometry": None},
        {"geometry": {"type": "Polygon", "coordinates": []}},
        {"geometry": {"type": "Point", "coordinates": [1.0, 2.0]}},
        ring([0, 0], [1, 0], [0, 0]),
        ring([0, 0], [0, 0], [0, 0], [0, 0]),
        ring([0, 0], [1, 1], [2, 2], [0, 0]),
        ring([0, 0], [1, 0], [1, 1], [1, 0], [0, 0]),
        ring([0, 0], [math.inf, 0], [1, 1], [0, 0]),
        ring([0, 0], [1, 0], [1, math.nan], [0, 0]),
        ring([0, 0], [1, 0], [1, 91], [0, 0]),
        ring([0, 0], [1e300, 0], [1, 1], [0, 0]),
        ring([0], [1], [1], [0]),
        ring([0, 0], [1, "east"], [1, 1], [0, 0]),  # type: ignore[list-item]
    ],
)
def test_entries_with_invalid_fields_are_skipped(change: dict[str, Any]) -> None:
    assert parse_scene(entry(**change)) is None
    assert parse_scene(entry()) is not None
    pages = iter([{"images": [entry(**change), entry()]}])
    assert len(read_listing(lambda token: next(pages))) == 1


@pytest.mark.parametrize("other", [None, 1, "x", [], {}])
def test_entries_of_other_types_are_skipped(other: Any) -> None:
    assert parse_scene(other) is None


def test_rings_with_heights_and_without_a_last_vertex() -> None:
    scene = parse_scene(entry(**ring([0, 0, 5], [1, 0, 5], [1, 1, 5])))
    assert scene is not None
    assert scene.footprint == Footprint((0.0, 1.0, 1.0), (0.0, 0.0, 1.0))


COORDINATE = st.sampled_from([0.0, 0.01, 1.0, 2.35, 48.85]) | st.floats(-90, 90)


@given(st.lists(st.tuples(COORDINATE, COORDINATE), max_size=12), st.booleans())
def test_every_accepted_footprint_can_be_compared_with_a_patch(
    vertices: list[tuple[float, float]], closed: bool
) -> None:
    coordinates = [list(vertex) for vertex in vertices + vertices[:1] * closed]
    scene = parse_scene(entry(**ring(*coordinates)))
    if scene is not None:
        patch = grid_footprint(patch_grid(Location(0, 2.35, 48.85, 32631)))
        assert covers([scene.footprint], patch).shape == (1,)


@given(st.recursive(st.none() | st.floats() | st.text(max_size=3), st.lists, max_leaves=12))
def test_no_geometry_ends_the_run(coordinates: Any) -> None:
    for kind in ("Polygon", "MultiPolygon", "LinearRing"):
        parse_scene(entry(geometry={"type": kind, "coordinates": coordinates}))


def test_pages_are_read_one_after_the_other() -> None:
    pages = {"": ([entry()], "a"), "a": ([], "b"), "b": ([entry(), entry()], "")}
    asked = []

    def read(token: str) -> dict[str, Any]:
        asked.append(token)
        return {"images": pages[token][0], "nextPageToken": pages[token][1]}

    assert len(read_listing(read)) == 3
    assert asked == ["", "a", "b"]


def unreadable(pages: list[dict[str, Any]]) -> TransientError:
    waiting = iter(pages)
    with pytest.raises(TransientError, match="Cannot read the listing") as caught:
        read_listing(lambda token: next(waiting))
    assert caught.value.uncertain
    return caught.value


def test_unreadable_listings_are_no_empty_ones() -> None:
    page = {"images": [entry()], "nextPageToken": "again"}
    assert "earlier" in unreadable([page] * 5).what
    endless: list[dict[str, Any]] = [{"images": [], "nextPageToken": str(n)} for n in range(99)]
    assert str(MAX_PAGES) in unreadable(endless).what
    wrong: list[dict[str, Any]] = [
        {"images": [entry(bands=None)] * 3, "nextPageToken": "1"},
        {"images": [{}]},
    ]
    assert "none of 4 entries has the expected fields" in unreadable(wrong).what
    assert read_listing(lambda token: {"images": []}) == []


def parts_of(geometry: dict[str, Any]) -> list[shapely.Polygon]:
    polygons = geometry["coordinates"]
    if geometry["type"] == "Polygon":
        polygons = [polygons]
    return [shapely.Polygon(*polygon) for polygon in polygons]


PLACES = st.tuples(
    st.floats(-180, 180) | st.floats(-0.03, 0.03).map(lambda x: (x + 360) % 360 - 180),
    st.floats(-79, 83),
)


@given(PLACES)
def test_regions_are_counter_clockwise_and_within_the_globe(place: tuple[float, float]) -> None:
    lon, lat = place
    patch = grid_footprint(patch_grid(Location(0, lon, lat, int(utm_epsg(lon, lat)))))
    geometry = json.loads(json.dumps(region(patch)))
    parts = parts_of(geometry)
    assert len(parts) == 1 + (geometry["type"] == "MultiPolygon") <= 2
    square = shapely.Polygon(zip(patch.longitudes, patch.latitudes, strict=True))
    assert sum(part.area for part in parts) == pytest.approx(square.area, rel=1e-6)
    for part in parts:
        assert part.is_valid
        assert part.exterior.is_ccw
        west, _, east, _ = part.bounds
        assert -180 <= west < east <= 180
        # Each part is inside the patch, whatever the turn of its longitudes.
        turns = [translate(part, turn) for turn in (-360, 0, 360)]
        assert min(turn.difference(square.buffer(1e-9)).area for turn in turns) < 1e-12


def test_regions_at_the_antimeridian() -> None:
    def boxed(west: float, east: float) -> list[tuple[float, ...]]:
        footprint = Footprint((west, east, east, west), (1.0, 1.0, 0.0, 0.0))
        return sorted(
            tuple(float(x) for x in np.round(part.bounds, 9))
            for part in parts_of(region(footprint))
        )

    east, west = (179.9, 0.0, 180.0, 1.0), (-180.0, 0.0, -179.9, 1.0)
    assert boxed(179.9, 180.1) == boxed(-180.1, -179.9) == [west, east]
    assert boxed(180.0, 180.1) == [west]
    assert boxed(179.9, 180.0 + 1e-13) == [east]
    assert boxed(359.9, 360.1) == [(-0.1, 0.0, 0.1, 1.0)]
