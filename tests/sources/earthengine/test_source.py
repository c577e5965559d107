"""The Earth Engine source with the unmodified client and the test server."""

from __future__ import annotations

import gc
import io
import pickle
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import googleapiclient.discovery
import numpy as np
import pytest

from caco_data.errors import (
    InputError,
    PermanentError,
    RefusedError,
    SourceError,
    TransientError,
)
from caco_data.grid import grid_footprint
from caco_data.sentinel2 import ALL_BANDS, SCL_BAND
from caco_data.sources.base import CloudScoreSource, ImageSource, SourceSettings
from caco_data.sources.earthengine.listing import parse_scene
from caco_data.sources.earthengine.pixels import read_npy
from caco_data.sources.earthengine.settings import EarthEngineSettings
from caco_data.sources.limiter import Limiter
from caco_data.sources.retry import RetryPolicy, call_with_retries
from caco_data.sources.simulated.settings import SimulatedSettings
from caco_data.sources.simulated.source import SimulatedSource
from caco_data.types import Grid, Scene
from tests.support.earthengine.faults import FaultPlan
from tests.support.earthengine.server import EarthEngineServer
from tests.support.simulated_tiles import grid_at

YEAR = (datetime(2020, 3, 1, tzinfo=UTC), datetime(2021, 3, 1, tzinfo=UTC))
#: Toulouse; Buenos Aires; a village just east of the antimeridian.
PLACES = [(1.44, 43.6), (-58.4, -34.6), (-179.97, -16.6)]


@pytest.fixture(scope="module")
def archive() -> SimulatedSource:
    return SimulatedSettings().open()


@pytest.fixture
def server(archive: SimulatedSource) -> Iterator[EarthEngineServer]:
    with EarthEngineServer(archive, page_size=40) as running:
        yield running


def opened(server: EarthEngineServer, **settings: Any) -> Any:
    return EarthEngineSettings(url=server.url, **settings).open()


def test_the_client_builds_its_methods_once(
    server: EarthEngineServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = []
    create = googleapiclient.discovery.createMethod

    def count(name: str, *rest: Any, **more: Any) -> Any:
        built.append(name)
        return create(name, *rest, **more)

    monkeypatch.setattr(googleapiclient.discovery, "createMethod", count)
    source = opened(server)
    before = len(built)
    assert before
    grid = grid_at(*PLACES[0])
    scene = scenes_at(source, grid)[0]
    source.read_tile(scene, grid, ["B2"])
    assert len(built) == before


def scenes_at(source: ImageSource, grid: Grid) -> list[Scene]:
    return sorted(source.list_scenes(grid_footprint(grid), *YEAR), key=lambda s: s.image_id)


def _satisfies_protocols() -> tuple[
    SourceSettings, Callable[..., ImageSource], Callable[..., CloudScoreSource]
]:
    """Let mypy check the source against the protocols."""
    return EarthEngineSettings(), EarthEngineSettings().open, EarthEngineSettings().open


@pytest.mark.parametrize("place", PLACES)
def test_listings_of_several_pages_equal_those_of_the_archive(
    server: EarthEngineServer, archive: SimulatedSource, place: tuple[float, float]
) -> None:
    grid = grid_at(*place)
    source = opened(server)
    expected = scenes_at(archive, grid)
    assert len(expected) > 60
    assert scenes_at(source, grid) == expected
    assert server.counters.summary()["requests"]["listAssets"] == -(-len(expected) // 40)
    clear = source.list_scenes(grid_footprint(grid), *YEAR, 20.0)
    assert {s.image_id for s in clear} == {s.image_id for s in expected if s.cloud_pct <= 20}


@pytest.mark.parametrize("place", PLACES)
def test_tiles_equal_those_of_the_archive_in_every_band(
    server: EarthEngineServer, archive: SimulatedSource, place: tuple[float, float]
) -> None:
    grid = grid_at(*place)
    scene = next(s for s in scenes_at(archive, grid) if s.epsg == grid.epsg)
    bands = (*ALL_BANDS, SCL_BAND)
    tile = opened(server).read_tile(scene, grid, bands)
    assert tile.dtype == np.uint16
    assert tile.shape == (13, 264, 264)
    np.testing.assert_array_equal(tile, archive.read_tile(scene, grid, bands))
    assert server.counters.summary()["requests"]["getPixels"] == 1  # for all bands
    # Decimation recovers the native values: a pixel of 20 m or 60 m is one repeated value.
    for band, step in (("B11", 2), ("B8A", 2), (SCL_BAND, 2), ("B1", 6), ("B9", 6)):
        layer = tile[bands.index(band)]
        native = layer[::step, ::step]
        np.testing.assert_array_equal(native.repeat(step, 0).repeat(step, 1), layer)


def test_cloud_scores_equal_those_of_the_archive(
    server: EarthEngineServer, archive: SimulatedSource
) -> None:
    grid = grid_at(*PLACES[0])
    scene = scenes_at(archive, grid)[0]
    score = opened(server).read_cloud_score(scene, grid)
    assert score.dtype == np.float32
    np.testing.assert_array_equal(score, archive.read_cloud_score(scene, grid))


THROTTLED = {"429": "429", "429_retry_after": "429", "403_rate": "403"}
TRANSIENT = THROTTLED | {
    "500": "500", "503": "503", "drop": "connection", "short_body": "connection",
    "truncated_npy": "corrupt body", "corrupt_gzip": "corrupt body",
    "stall": "timeout", "drip": "timeout", "wrong_shape": "wrong shape",
    "missing_band": "missing band",
}  # fmt: skip


@pytest.mark.parametrize(("fault", "what"), TRANSIENT.items())
def test_transient_faults_of_tiles(
    server: EarthEngineServer, archive: SimulatedSource, fault: str, what: str
) -> None:
    grid = grid_at(*PLACES[0])
    scene = scenes_at(archive, grid)[0]
    slow = fault in ("stall", "drip")
    source = opened(server, deadline_s=0.6 if slow else 60.0)
    server.plan = FaultPlan({fault: 1.0}, stall_s=600)
    began = time.monotonic()
    with pytest.raises(TransientError) as caught:
        source.read_tile(scene, grid, ["B4", "B3"])
    assert not slow or time.monotonic() - began < 3
    assert caught.value.what == what
    assert caught.value.throttled == (fault in THROTTLED)
    assert caught.value.retry_after_s == (1.0 if fault == "429_retry_after" else None)
    assert pickle.loads(pickle.dumps(caught.value)).throttled == caught.value.throttled


@pytest.mark.parametrize("fault", ["429", "500", "drop", "short_body", "html", "truncated_npy"])
def test_transient_faults_of_listings(server: EarthEngineServer, fault: str) -> None:
    source = opened(server)
    server.plan = FaultPlan({fault: 1.0})
    with pytest.raises(TransientError):
        source.list_scenes(grid_footprint(grid_at(*PLACES[0])), *YEAR)


def test_retries_succeed_despite_mixed_faults(
    server: EarthEngineServer, archive: SimulatedSource
) -> None:
    grid = grid_at(*PLACES[0])
    scenes = scenes_at(archive, grid)[:12]
    limiter = Limiter()
    source = EarthEngineSettings(url=server.url).open(limiter)
    kinds = [kind for kind in TRANSIENT if kind not in ("429_retry_after", "stall", "drip")]
    server.plan = FaultPlan(dict.fromkeys(kinds, 0.05), seed=3)
    policy = RetryPolicy(max_retries=30, base_s=0.0)
    for scene in scenes:
        tile = call_with_retries(lambda s=scene: source.read_tile(s, grid, ["B2"]), policy, limiter)  # type: ignore[misc]
        np.testing.assert_array_equal(tile, archive.read_tile(scene, grid, ["B2"]))
    retries = sum(limiter.status().counts.retries.values())
    assert 0 < retries == sum(server.counters.summary()["faults"].values())


def refused(server: EarthEngineServer, plan: FaultPlan) -> SourceError:
    grid = grid_at(*PLACES[0])
    scene = scenes_at(SimulatedSettings().open(), grid)[0]
    source = opened(server)
    server.plan = plan
    with pytest.raises(SourceError) as caught:
        source.read_tile(scene, grid, ["B4"])
    return caught.value


def test_errors_that_are_not_retried(server: EarthEngineServer) -> None:
    quota = refused(server, FaultPlan(quota=0))
    assert isinstance(quota, RefusedError)
    assert "EECU-hours per month" in str(quota)
    token = refused(server, FaultPlan({"401": 1.0}))
    assert isinstance(token, RefusedError)
    assert "earthengine authenticate" in str(token)
    scene = scenes_at(SimulatedSettings().open(), grid_at(*PLACES[0]))[0]
    vanished = refused(server, FaultPlan(vanished=(scene.image_id,)))
    assert isinstance(vanished, PermanentError)
    assert "not found" in str(vanished)  # the server's message
    server.plan = FaultPlan()
    with pytest.raises(PermanentError, match="B10"):
        opened(server).read_tile(scene, grid_at(*PLACES[0]), ["B10"])


class _Garbage:
    """Garbage that lets another thread run when it is collected."""

    def __init__(self) -> None:
        self.cycle = self

    def __del__(self) -> None:
        time.sleep(0)


def test_threads_decode_tiles_concurrently() -> None:
    def decode(width: int) -> tuple[int, ...]:
        _Garbage()
        file = io.BytesIO()
        np.save(file, np.zeros((2, width), [("B2", "<u2")]))
        return read_npy(file.getvalue()).shape

    interval, thresholds = sys.getswitchinterval(), gc.get_threshold()
    sys.setswitchinterval(1e-6)
    gc.set_threshold(20)
    try:
        with ThreadPoolExecutor(8) as threads:
            shapes = list(threads.map(decode, range(1, 4001)))
    finally:
        sys.setswitchinterval(interval)
        gc.set_threshold(*thresholds)
    assert shapes == [(2, width) for width in range(1, 4001)]


def test_listing_entries_with_missing_fields_and_other_geometries() -> None:
    assert parse_scene({"type": "IMAGE", "id": "COPERNICUS/S2_SR_HARMONIZED/x"}) is None
    square = [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 0.0]]
    far = [[179.9, 0.0], [-179.9, 0.0], [-179.9, 1.0], [179.8, 1.5], [179.9, 0.0]]
    entry: dict[str, Any] = {
        "id": "COPERNICUS/S2_SR_HARMONIZED/x",
        "startTime": "2020-01-01T10:00:00.123Z",
        "properties": {"CLOUDY_PIXEL_PERCENTAGE": 3},
        "bands": [{"grid": {"crsCode": "EPSG:32601"}}],
    }
    for geometry, n in (
        ({"type": "LinearRing", "coordinates": square}, 3),
        ({"type": "MultiPolygon", "coordinates": [[square], [far]]}, 4),
    ):
        scene = parse_scene(entry | {"geometry": geometry})
        assert scene is not None
        assert len(scene.footprint.longitudes) == n
        assert np.ptp(scene.footprint.longitudes) <= 1.0  # continuous across the antimeridian


@pytest.mark.parametrize("url", ["nonsense", "ftp://127.0.0.1", "http://"])
def test_invalid_addresses_are_rejected(url: str) -> None:
    with pytest.raises(InputError, match="--ee-url"):
        EarthEngineSettings(url=url).open()
