"""Faults of STAC APIs and file servers: which ones are retried, and which ones are permanent."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from caco_data.download.fetch import Requests
from caco_data.download.settings import FetchSettings, SceneSettings
from caco_data.download.stacks import Cloudy, Unreadable
from caco_data.errors import (
    InconsistentError,
    InputError,
    PermanentError,
    SourceError,
    TransientError,
)
from caco_data.grid import grid_footprint
from caco_data.sources.limiter import Limiter
from caco_data.sources.retry import RetryPolicy
from caco_data.sources.simulated.settings import SimulatedSettings
from caco_data.sources.simulated.source import SimulatedSource
from caco_data.sources.stac.cog import BlockReader
from caco_data.sources.stac.settings import StacSettings
from caco_data.sources.stac.signing import TokenSigner
from caco_data.sources.stac.source import StacSource
from caco_data.sources.stac.web import FileServer, Web
from caco_data.types import Grid, Scene
from tests.support.simulated_tiles import grid_at
from tests.support.stac_server.catalogue import Product, earth_search
from tests.support.stac_server.server import Response, StacServer

GRID = grid_at(1.44, 43.6)
MONTH = (datetime(2022, 6, 1, tzinfo=UTC), datetime(2022, 8, 1, tzinfo=UTC))
BANDS = ("B4", "B2", "SCL")


@pytest.fixture(scope="module")
def archive() -> SimulatedSource:
    return SimulatedSettings().open()


@pytest.fixture
def server(archive: SimulatedSource) -> Iterator[StacServer]:
    with StacServer(archive, patches=[GRID]) as running:
        yield running


def opened(server: StacServer, **settings: Any) -> StacSource:
    return StacSettings(server.url, **settings).open()


def clear_scene(source: StacSource, grid: Grid = GRID) -> Scene:
    scenes = source.list_scenes(grid_footprint(grid), *MONTH)
    own = [scene for scene in scenes if scene.epsg == grid.epsg]
    return min(own, key=lambda scene: (scene.cloud_pct, scene.image_id))


def on_files(change: Any) -> Any:
    """Return a fault of files only."""

    def fault(path: str, response: Response) -> Response | None:
        changed: Response | None = change(response) if path.startswith("/files/") else response
        return changed

    return fault


def whole_file(response: Response) -> Response:
    return Response(response.body + b"more", 200, "image/tiff")


S3_SLOW = b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
DENIED = b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
FILE_FAULTS: dict[str, tuple[Any, type[SourceError], dict[str, Any]]] = {
    "404": (lambda r: Response(b"", 404), PermanentError, {}),
    "429": (lambda r: Response(b"", 429, **{"Retry-After": "7"}), TransientError,
            {"throttled": True, "retry_after_s": 7.0}),
    "503": (lambda r: Response(S3_SLOW, 503), TransientError, {"throttled": True}),
    "403 slow": (lambda r: Response(S3_SLOW, 403), TransientError, {"throttled": True}),
    "403": (lambda r: Response(DENIED, 403), TransientError, {"uncertain": True}),
    "500": (lambda r: Response(b"", 500), TransientError, {"throttled": False}),
    "range ignored": (whole_file, TransientError, {"uncertain": True}),
    "drop": (lambda r: None, TransientError, {}),
    "short body": (lambda r: Response(r.body[:-9], 206, **{"Content-Length": str(len(r.body))}),
                   TransientError, {"uncertain": False}),
    "truncated": (lambda r: r if len(r.body) <= 32768 else Response(r.body[:5000], 206),
                  TransientError, {"uncertain": True}),
    "page": (lambda r: Response(b"<html>Log in</html>" * 9, 206), PermanentError, {}),
}  # fmt: skip


@pytest.mark.parametrize("name", FILE_FAULTS)
def test_faults_of_files(server: StacServer, name: str) -> None:
    source = opened(server)
    scene = clear_scene(source)
    change, kind, attributes = FILE_FAULTS[name]
    server.fault = on_files(change)
    with pytest.raises(kind) as caught:
        source.read_tile(scene, GRID, BANDS)
    for attribute, value in attributes.items():
        assert getattr(caught.value, attribute) == value
    server.fault = None
    assert source.read_tile(scene, GRID, BANDS).any()  # no failure is remembered


def test_a_stalled_body_misses_the_deadline(server: StacServer) -> None:
    source = opened(server, deadline_s=20.0)
    scene = clear_scene(source)
    impatient = opened(server, deadline_s=0.5)

    def stalled(response: Response) -> Response:
        response.stall_s = 600
        return response

    server.fault = on_files(stalled)
    with pytest.raises(TransientError, match="timeout"):
        impatient.read_tile(scene, GRID, BANDS)


API_FAULTS: dict[str, tuple[Any, type[SourceError], dict[str, Any]]] = {
    "403": (lambda r: Response(b'{"message":"Forbidden"}', 403), TransientError,
            {"throttled": True}),
    "429": (lambda r: Response(b"", 429), TransientError, {"throttled": True}),
    "502": (lambda r: Response(b"", 502), TransientError, {"throttled": False}),
    "400": (lambda r: Response(b'{"description":"bad query"}', 400), PermanentError, {}),
    "page": (lambda r: Response(b"<html>Log in</html>"), TransientError, {}),
    "cut": (lambda r: Response(r.body[:-20]), TransientError, {}),
    "no features": (lambda r: Response(b"{}"), TransientError, {}),
    "drop": (lambda r: None, TransientError, {}),
}  # fmt: skip


@pytest.mark.parametrize("name", API_FAULTS)
def test_faults_of_searches(server: StacServer, name: str) -> None:
    source = opened(server)
    change, kind, attributes = API_FAULTS[name]
    server.fault = lambda path, response: change(response)
    with pytest.raises(kind) as caught:
        source.list_scenes(grid_footprint(GRID), *MONTH)
    for attribute, value in attributes.items():
        assert getattr(caught.value, attribute) == value
    server.fault = None
    assert source.list_scenes(grid_footprint(GRID), *MONTH)


def test_pages_that_repeat_are_noticed(archive: SimulatedSource) -> None:
    with StacServer(archive, patches=[GRID], page_size=20) as server:
        source = opened(server)
        first: list[Response] = []

        def repeat(path: str, response: Response) -> Response:
            first.append(response)
            return Response(first[0].body)

        server.fault = repeat
        with pytest.raises(TransientError, match="repeats"):
            source.list_scenes(grid_footprint(GRID), *MONTH)


@pytest.mark.parametrize("body", [b"<html></html>", b"{}", b'{"type": "Feature"}', b"nothing"])
def test_addresses_that_are_no_stac_api(server: StacServer, body: bytes) -> None:
    server.fault = lambda path, response: Response(body)
    with pytest.raises((InputError, TransientError)) as caught:
        opened(server)
    assert "--stac-url" in str(caught.value)


def publishing(archive: SimulatedSource, **change: Any) -> StacServer:
    def publish(scene: Scene) -> tuple[Product, ...]:
        return tuple(replace(product, **change) for product in earth_search(scene))

    return StacServer(archive, publish, [GRID])


def test_items_without_scene_classes_are_skipped(archive: SimulatedSource) -> None:
    def remove(item: dict[str, Any]) -> None:
        del item["assets"]["scl"]

    with publishing(archive, change=remove) as server:
        assert opened(server).list_scenes(grid_footprint(GRID), *MONTH) == []


def test_a_hole_in_the_image_is_nodata(archive: SimulatedSource) -> None:
    with StacServer(archive, patches=[]) as server:
        requests = requests_to(opened(server))
        tile = requests.tile(clear_scene(opened(server)), GRID)
        assert tile == Cloudy(0.0, nodata=True)
        assert sum("B4.tif" in path for path in server.paths) == 0  # the bands are not read


def requests_to(source: StacSource) -> Requests:
    settings = FetchSettings(SceneSettings(), ("B4", "B3", "B2"))
    return Requests(source, settings, RetryPolicy(base_s=0.0), Limiter())


@pytest.mark.parametrize("offset", [True, False])
def test_flags_that_contradict_the_pixels(archive: SimulatedSource, offset: bool) -> None:
    # The files have the offset although the flag says that it was removed, and the reverse.
    with publishing(archive, offset=offset, flag=offset) as server:
        source = opened(server)
        scene = clear_scene(source)
        assert scene.offset_dn == (0 if offset else 1000)
        with pytest.raises(InconsistentError, match="The metadata say"):
            source.read_tile(scene, GRID, ("B4", "B3", "B2", "SCL"))
        tile = requests_to(source).tile(scene, GRID)
        assert isinstance(tile, Unreadable)
        assert tile.reason == "inconsistent scenes"


def test_expired_signatures_are_renewed(archive: SimulatedSource) -> None:
    issued: list[str] = []
    valid: set[str] = set()
    lock = threading.Lock()

    class Signed(StacServer):
        """Issues tokens, and refuses files without a valid one."""

        def respond(self, method: str, target: str, fields: Any, body: bytes) -> Response | None:
            if target.startswith("/token/"):
                with lock:
                    issued.append(f"sig={len(issued)}")
                    valid.clear()
                    valid.add(issued[-1])
                expiry = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
                answer = {"token": issued[-1], "msft:expiry": expiry}
                return Response(json.dumps(answer).encode())
            if target.startswith("/files/") and target.rpartition("?")[2] not in valid:
                return Response(b"<Error><Code>AuthenticationFailed</Code></Error>", 403)
            return super().respond(method, target, fields, body)

    with Signed(archive, patches=[GRID]) as server:
        scene = clear_scene(opened(server))
        web = Web(20.0, Limiter())
        signer = TokenSigner(
            web, server.url + "/token/{account}/{container}", re.compile(r"127\.0\.0\.1")
        )
        reader = BlockReader(FileServer(web, signer))
        href = dict(scene.files)["B4"]
        expected = archive.read_tile(
            replace(scene, image_id=scene.image_id.split("_sentinel-2")[0]), GRID, ["B4"]
        )[0]
        half = replace(GRID, height_px=132)
        found = reader.read(href, half, 10)
        assert len(issued) == 1
        valid.clear()  # the token expires between the header and the next block
        other = BlockReader(FileServer(web, signer)).read(href, GRID, 10)
        assert len(issued) == 2
        offset = scene.offset_dn or 0
        np.testing.assert_array_equal(other, expected + np.uint16(offset))
        np.testing.assert_array_equal(found, other[:132])
        # A token is renewed before it expires.
        signer._tokens = {k: (t, datetime.now(UTC)) for k, (t, _) in signer._tokens.items()}
        signer.sign(href)
        assert len(issued) == 3
