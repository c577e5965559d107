"""Responses of the test server, and the requests that it rejects."""

from __future__ import annotations

import io
import json
import operator
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import numpy as np
import pytest
from numpy.typing import NDArray

from caco_data.download.plan import covers
from caco_data.grid import grid_footprint, patch_grid, utm_epsg
from caco_data.types import Grid, Location, Scene
from tests.support.earthengine.api import CLOUD_SCORE
from tests.support.earthengine.entries import ROOT
from tests.support.earthengine.requests import (
    END,
    GRID,
    PATCH,
    SOURCE,
    START,
    ask,
    error_of,
    listing_target,
    pixels_body,
    pixels_target,
    polygon,
    read_entry,
    scenes,
)
from tests.support.earthengine.server import EarthEngineServer
from tests.support.flat_source import FlatSource, find_flat


@pytest.fixture(scope="module")
def server() -> Iterator[EarthEngineServer]:
    with EarthEngineServer(SOURCE, page_size=7) as running:
        yield running


def test_the_start_is_included_and_the_end_excluded(server: EarthEngineServer) -> None:
    scene, instant = scenes()[0], timedelta(microseconds=1)
    for start, end, listed in (
        (scene.acquired, scene.acquired + instant, True),
        (scene.acquired - instant, scene.acquired, False),
        (scene.acquired + instant, scene.acquired + 2 * instant, False),
    ):
        body = ask(server.url, "GET", listing_target(start, end))[2]
        assert (scene.image_id in body.decode()) == listed


@pytest.mark.parametrize(
    ("sign", "holds"),
    [
        ("<", operator.lt),
        ("<=", operator.le),
        (">", operator.gt),
        (">=", operator.ge),
        ("=", operator.eq),
    ],
)
def test_scenes_are_filtered_by_their_clouds(
    server: EarthEngineServer, sign: str, holds: Callable[[float, float], bool]
) -> None:
    threshold = scenes()[3].cloud_pct
    target = listing_target(more=f"properties.CLOUDY_PIXEL_PERCENTAGE {sign} {threshold!r}")
    body = json.loads(ask(server.url, "GET", f"{target}&view=FULL")[2])
    listed = sorted(SOURCE.list_scenes(PATCH, START, END), key=lambda s: s.image_id)
    expected = [scene for scene in listed if holds(scene.cloud_pct, threshold)]
    assert expected
    assert [read_entry(entry) for entry in body["assets"]] == expected[:7]


@pytest.mark.parametrize(
    "change",
    [
        ("startTime", "startTimes"),
        (" AND intersects", " OR intersects"),
        ('endTime < "2019', 'endTime < "soon'),
        ("Polygon", "Point"),
        ("intersects(", "contains("),
        ("endTime <", "endTime >="),
        ("startTime >=", "properties.CLOUDY_PIXEL_PERCENTAGE <="),
    ],
)
def test_an_unknown_filter_is_rejected(server: EarthEngineServer, change: tuple[str, str]) -> None:
    old, new = (urlencode({"": part})[1:] for part in change)
    assert old in listing_target()
    status, _, body = ask(server.url, "GET", listing_target().replace(old, new))
    assert status == 400
    assert error_of(body)["status"] == "INVALID_ARGUMENT"


SQUARE = [[2.3, 48.8], [2.4, 48.8], [2.4, 48.9], [2.3, 48.9], [2.3, 48.8]]
WEST = [[-180.0, 1.0], [-179.9, 1.0], [-179.9, 2.0], [-180.0, 2.0], [-180.0, 1.0]]
EAST = [[179.9, 1.0], [180.0, 1.0], [180.0, 2.0], [179.9, 2.0], [179.9, 1.0]]


@pytest.mark.parametrize(
    ("kind", "coordinates", "status"),
    [
        ("Polygon", [SQUARE], 200),
        ("Polygon", [SQUARE[::-1]], 400),  # clockwise
        ("Polygon", [SQUARE[:-1]], 400),
        ("Polygon", [[[x + 360, y] for x, y in SQUARE]], 400),
        ("Polygon", [SQUARE, SQUARE], 400),
        ("MultiPolygon", [[EAST], [WEST]], 200),
        ("MultiPolygon", [[EAST[::-1]], [WEST]], 400),
        ("MultiPolygon", [[EAST], [SQUARE]], 400),
    ],
)
def test_regions_must_be_counter_clockwise_and_within_180_degrees(
    server: EarthEngineServer, kind: str, coordinates: list[Any], status: int
) -> None:
    old = json.dumps(polygon(PATCH)).replace('"', "'")
    new = json.dumps({"type": kind, "coordinates": coordinates}).replace('"', "'")
    old, new = (urlencode({"": part})[1:] for part in (old, new))
    assert old in listing_target()
    assert ask(server.url, "GET", listing_target().replace(old, new))[0] == status


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"bandIds": ["B4", "B10"]}, "B10"),
        ({"bandIds": []}, "Bands"),
        ({"bandIds": ["B4", "B4"]}, "Bands"),
        ({"fileFormat": "GEO_TIFF"}, "GEO_TIFF"),
        ({"crsCode": "EPSG:4326"}, "EPSG:4326"),
        ({"crsCode": "EPSG:32632"}, "EPSG:32631"),
        ({"scaleX": 20.0}, "pixels"),
        ({"shearX": 1.0}, "pixels"),
        ({"translateX": 0.5}, "pixels"),
        ({"translateX": 600_010.0}, "lattice"),
        ({"width": 0}, "dimensions"),
        ({"width": 40_000}, "dimensions"),
        ({"width": 6_000, "height": 1_200}, "50400000 bytes"),
        ({"grid": None}, "payload"),
    ],
)
def test_invalid_pixel_requests_are_rejected(
    server: EarthEngineServer, change: dict[str, Any], words: str
) -> None:
    query = json.loads(pixels_body())
    for part in (
        query,
        query["grid"],
        query["grid"]["dimensions"],
        query["grid"]["affineTransform"],
    ):
        part.update({key: value for key, value in change.items() if key in part})
    target = pixels_target(scenes()[0].image_id)
    status, _, body = ask(server.url, "POST", target, json.dumps(query).encode())
    assert (status, error_of(body)["errors"][0]["reason"]) == (400, "badRequest")
    assert words in error_of(body)["message"]


@pytest.mark.parametrize(
    "target",
    [
        pixels_target("20190101T000000_20190101T000000_T31UDQ"),
        pixels_target("nonsense"),
        pixels_target("any", "COPERNICUS/S2"),
        f"/v1/{ROOT}COPERNICUS/S2:listAssets",
        "/elsewhere",
    ],
)
def test_missing_assets_are_not_found(server: EarthEngineServer, target: str) -> None:
    method = "GET" if "listAssets" in target else "POST"
    status, _, body = ask(server.url, method, target, pixels_body())
    assert (status, error_of(body)["errors"][0]["reason"]) == (404, "notFound")


class ScoredSource(FlatSource):
    def read_cloud_score(self, scene: Scene, grid: Grid) -> NDArray[np.float32]:
        score = np.linspace(0, 1, grid.height_px * grid.width_px, dtype=np.float32)
        return score.reshape(grid.height_px, grid.width_px)


def test_cloud_scores_are_served_if_the_source_has_them() -> None:
    scene = FlatSource().list_scenes(PATCH, START, END)[0]
    target = pixels_target(scene.image_id, CLOUD_SCORE)
    with EarthEngineServer(ScoredSource()) as scored:
        status, _, body = ask(scored.url, "POST", target, pixels_body(bands=["cs_cdf"]))
        assert status == 200
        score = np.load(io.BytesIO(body))
        assert score.dtype == [("cs_cdf", "<f4")]
        assert (score["cs_cdf"] == ScoredSource().read_cloud_score(scene, GRID)).all()
    with EarthEngineServer(FlatSource()) as plain:
        assert ask(plain.url, "POST", target, pixels_body(bands=["cs_cdf"]))[0] == 404


def test_the_flat_source_covers_every_patch_and_finds_its_scenes() -> None:
    for longitude in (-179.99, -3.01, 2.999, 5.2, 33.0):
        for latitude in (-60.0, 0.001, 60.0, 75.0):
            epsg = int(utm_epsg(longitude, latitude))
            grid = patch_grid(Location(0, longitude, latitude, epsg))
            scene = FlatSource().list_scenes(grid_footprint(grid), START, END)[0]
            assert scene.epsg == epsg
            assert covers([scene.footprint], grid_footprint(grid))[0]
            assert find_flat(scene.image_id) == scene
    days = [x.acquired for x in FlatSource().list_scenes(PATCH, START, END)]
    assert START <= days[0] < START + timedelta(days=5)
    assert END - timedelta(days=5) <= days[-1] < END
