"""Faults of the test server as a client sees them."""

from __future__ import annotations

import http.client
import io
import json
import socket
import zlib
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from urllib.parse import urlsplit

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.earthengine.faults import KINDS, FaultPlan
from tests.support.earthengine.messages import Request
from tests.support.earthengine.requests import (
    END,
    GRID,
    PATCH,
    START,
    ask,
    counters,
    error_of,
    listing_target,
    pixels_body,
    pixels_target,
)
from tests.support.earthengine.server import EarthEngineServer
from tests.support.flat_source import FlatSource

SMALL = replace(GRID, width_px=6, height_px=6)
IMAGES = [scene.image_id for scene in FlatSource().list_scenes(PATCH, START, END)]
BODY = pixels_body(SMALL, ["B4", "SCL"])


@pytest.fixture
def server() -> Iterator[EarthEngineServer]:
    with EarthEngineServer(FlatSource()) as running:
        yield running


def read(server: EarthEngineServer, image: str = IMAGES[0]) -> tuple[int, bytes]:
    status, _, body = ask(server.url, "POST", pixels_target(image), BODY)
    return status, body


def certain(kind: str, **more: object) -> FaultPlan:
    return FaultPlan.from_json(json.dumps({"rates": {kind: 1.0}, **more}))


@pytest.mark.parametrize(
    ("kind", "status", "word", "reason"),
    [
        ("429", 429, "RESOURCE_EXHAUSTED", "rateLimitExceeded"),
        ("429_retry_after", 429, "RESOURCE_EXHAUSTED", "rateLimitExceeded"),
        ("403_rate", 403, "PERMISSION_DENIED", "rateLimitExceeded"),
        ("500", 500, "INTERNAL", "backendError"),
        ("503", 503, "UNAVAILABLE", "backendError"),
        ("401", 401, "UNAUTHENTICATED", "authError"),
    ],
)
def test_errors_have_their_status_and_json(
    server: EarthEngineServer, kind: str, status: int, word: str, reason: str
) -> None:
    server.plan = certain(kind, retry_after_s=2.5)
    found, headers, body = ask(server.url, "POST", pixels_target(IMAGES[0]), BODY)
    error = error_of(body)
    assert (found, error["code"], error["status"]) == (status, status, word)
    assert error["errors"][0]["reason"] == reason
    assert headers["Retry-After"] == ("2.5" if kind == "429_retry_after" else None)
    assert counters(server.url)["faults"] == {kind: 1}


def test_dropped_connection(server: EarthEngineServer) -> None:
    server.plan = certain("drop")
    with pytest.raises(http.client.RemoteDisconnected):
        read(server)
    assert counters(server.url)["status"] == {}


def test_short_body(server: EarthEngineServer) -> None:
    server.plan = certain("short_body")
    with pytest.raises(http.client.IncompleteRead):
        read(server)


def test_html_page_instead_of_the_response(server: EarthEngineServer) -> None:
    server.plan = certain("html")
    status, headers, body = ask(server.url, "GET", listing_target())
    assert (status, headers.get_content_type()) == (200, "text/html")
    assert body.startswith(b"<!DOCTYPE html>")


def test_truncated_arrays_and_listings_cannot_be_read(server: EarthEngineServer) -> None:
    server.plan = certain("truncated_npy")
    status, body = read(server)
    assert status == 200
    with pytest.raises(ValueError, match=r"array|EOF"):
        np.load(io.BytesIO(body))
    with pytest.raises(json.JSONDecodeError):
        json.loads(ask(server.url, "GET", listing_target())[2])


def test_corrupt_gzip_cannot_be_decompressed(server: EarthEngineServer) -> None:
    server.plan = certain("corrupt_gzip")
    _, headers, body = ask(server.url, "POST", pixels_target(IMAGES[0]), BODY)
    assert headers["Content-Encoding"] == "gzip"
    with pytest.raises(zlib.error):
        zlib.decompress(body, wbits=31)


def test_wrong_shapes_and_missing_bands_are_readable_arrays(server: EarthEngineServer) -> None:
    server.plan = certain("wrong_shape")
    pixels = np.load(io.BytesIO(read(server)[1]))
    assert (pixels.shape, pixels.dtype.names) == ((5, 6), ("B4", "SCL"))
    server.plan = certain("missing_band")
    pixels = np.load(io.BytesIO(read(server)[1]))
    assert (pixels.shape, pixels.dtype.names) == ((6, 6), ("SCL",))
    assert ask(server.url, "GET", listing_target())[0] == 200


def test_stall_sends_nothing(server: EarthEngineServer) -> None:
    server.plan = certain("stall", stall_s=600)
    with pytest.raises(TimeoutError):
        ask(server.url, "POST", pixels_target(IMAGES[0]), BODY, timeout=0.3)
    server.plan = certain("stall", stall_s=0.01)
    assert read(server)[0] == 200


def test_drip_sends_the_response_in_small_pieces(server: EarthEngineServer) -> None:
    server.plan = certain("drip", stall_s=600)
    with socket.create_connection(("127.0.0.1", urlsplit(server.url).port), 30) as connection:
        head = f"POST {pixels_target(IMAGES[0])} HTTP/1.1\r\nContent-Length: {len(BODY)}\r\n\r\n"
        connection.sendall(head.encode() + BODY)
        pieces = [connection.recv(1000) for _ in range(5)]
    assert b"".join(pieces).startswith(b"HTTP/")
    assert all(pieces)  # otherwise the second call would wait for the end of the drip
    server.plan = certain("drip", stall_s=0.12)
    assert np.load(io.BytesIO(read(server)[1])).shape == (6, 6)


def test_stopping_the_server_ends_a_stall() -> None:
    with (
        ThreadPoolExecutor(1) as pool,
        EarthEngineServer(FlatSource(), certain("stall", stall_s=600)) as server,
    ):
        waiting = pool.submit(read, server)
        while not counters(server.url)["in_flight"]:
            pass
        server.__exit__()
        with pytest.raises(ConnectionError):
            waiting.result(timeout=30)


def run_through(plan: FaultPlan, images: list[str], tries: int) -> dict[str, list[int]]:
    """Statuses per image and attempt."""
    statuses: dict[str, list[int]] = {image: [] for image in images}
    with EarthEngineServer(FlatSource(), plan) as server:
        for _ in range(tries):
            for image in images:
                statuses[image].append(read(server, image)[0])
    return statuses


def test_faults_do_not_depend_on_the_order_of_requests() -> None:
    plan = FaultPlan({"429": 0.2, "503": 0.3}, seed=5)
    forwards = run_through(plan, IMAGES, 3)
    assert forwards == run_through(plan, IMAGES[::-1], 3)
    assert forwards != run_through(replace(plan, seed=6), IMAGES, 3)
    assert {status for tries in forwards.values() for status in tries} == {200, 429, 503}
    assert any(len(set(tries)) > 1 for tries in forwards.values())


def test_faults_have_the_planned_rates() -> None:
    plan = FaultPlan({"drop": 0.1, "500": 0.02, "wrong_shape": 0.05})
    request = Request.of("POST", pixels_target(IMAGES[0]), {}, BODY)
    count = Counter(plan.random_fault(request, attempt) for attempt in range(10_000))
    for kind, rate in plan.rates.items():
        assert abs(count[kind] / 10_000 - rate) < 4 * (rate * (1 - rate) / 10_000) ** 0.5


def test_faults_apply_to_the_planned_requests_only(server: EarthEngineServer) -> None:
    server.plan = certain("503", applies_to=["algorithms"])
    assert ask(server.url, "GET", "/v1/projects/p/algorithms")[0] == 503
    assert read(server)[0] == 200


def test_faults_of_single_images(server: EarthEngineServer) -> None:
    server.plan = FaultPlan(always={IMAGES[0]: "500"}, vanished=(IMAGES[1],))
    assert [read(server, image)[0] for image in IMAGES[:3]] == [500, 404, 200]
    assert IMAGES[1] in error_of(read(server, IMAGES[1])[1])["message"]
    assert IMAGES[1] in ask(server.url, "GET", listing_target())[2].decode()
    assert counters(server.url)["faults"] == {"500": 1, "vanished": 2}


def test_an_exhausted_quota_stays_exhausted(server: EarthEngineServer) -> None:
    server.plan = FaultPlan(quota=3)
    assert [read(server)[0] for _ in range(5)] == [200, 200, 200, 429, 429]
    assert "per month" in error_of(read(server)[1])["message"]
    server.plan = FaultPlan()
    assert read(server)[0] == 200


def test_a_denied_project_is_rejected(server: EarthEngineServer) -> None:
    server.plan = FaultPlan(denied_projects=("closed",))
    named = {"x-goog-user-project": "closed"}
    for status, _, body in (
        ask(server.url, "GET", "/v1/projects/closed/algorithms"),
        ask(server.url, "GET", listing_target(), headers=named),
    ):
        assert (status, error_of(body)["status"]) == (403, "PERMISSION_DENIED")
        assert "closed" in error_of(body)["message"]
    assert ask(server.url, "GET", "/v1/projects/open/algorithms")[0] == 200
    assert read(server)[0] == 200


def test_the_plan_can_be_replaced_over_http(server: EarthEngineServer) -> None:
    plan = FaultPlan({"503": 1.0}, vanished=("x",))
    assert ask(server.url, "PUT", "/faults", plan.to_json().encode())[0] == 200
    assert server.plan == plan
    assert read(server)[0] == 503
    for wrong in (
        b"[]",
        b"{",
        b'{"rates": {"flood": 1}}',
        b'{"rate": 1}',
        b'{"rates": {"500": 2}}',
    ):
        assert ask(server.url, "PUT", "/faults", wrong)[0] == 400
    assert server.plan == plan


@given(
    rates=st.dictionaries(st.sampled_from(KINDS), st.floats(0, 1 / len(KINDS))),
    vanished=st.lists(st.text()),
    quota=st.none() | st.integers(0),
)
def test_a_plan_is_restored_from_json(
    rates: dict[str, float], vanished: list[str], quota: int | None
) -> None:
    plan = FaultPlan(rates, vanished=tuple(vanished), quota=quota)
    assert FaultPlan.from_json(plan.to_json()) == plan
