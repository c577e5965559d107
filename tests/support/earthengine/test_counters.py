"""Counters of the test server, with concurrent clients."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import urlsplit

import pytest

from caco_data.types import Footprint, Scene
from tests.support.earthengine.counters import Counters
from tests.support.earthengine.faults import FaultPlan
from tests.support.earthengine.requests import GRID, ask, counters, listing_target, pixels_target
from tests.support.earthengine.server import EarthEngineServer
from tests.support.earthengine.test_faults import BODY, IMAGES, read
from tests.support.flat_source import FlatSource


@pytest.fixture
def server() -> Iterator[EarthEngineServer]:
    with EarthEngineServer(FlatSource()) as running:
        yield running


@dataclass
class GatheringSource(FlatSource):
    """Returns a listing only when as many requests are waiting as the barrier has parties."""

    together: threading.Barrier = field(default_factory=lambda: threading.Barrier(8))

    def list_scenes(
        self, footprint: Footprint, start: datetime, end: datetime, max_cloud_pct: float = 100.0
    ) -> list[Scene]:
        self.together.wait(60)
        return super().list_scenes(footprint, start, end, max_cloud_pct)


def test_requests_in_flight_are_counted() -> None:
    with EarthEngineServer(GatheringSource()) as server, ThreadPoolExecutor(8) as pool:
        responses = list(pool.map(lambda _: ask(server.url, "GET", listing_target())[0], range(16)))
        assert responses == [200] * 16
        found = counters(server.url)
        assert (found["in_flight"], found["most_in_flight"]) == (0, 8)


def test_requests_beyond_the_capacity_are_rejected() -> None:
    source, plan = GatheringSource(together=threading.Barrier(3)), FaultPlan(capacity=2)
    with EarthEngineServer(source, plan) as server, ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(ask, server.url, "GET", listing_target()) for _ in range(2)]
        while counters(server.url)["in_flight"] < 2:
            pass
        assert read(server)[0] == 429
        source.together.wait(60)
        assert [future.result()[0] for future in waiting] == [200, 200]
        assert counters(server.url)["faults"] == {"capacity": 1}


def test_requests_in_flight_do_not_exceed_the_clients(server: EarthEngineServer) -> None:
    def client(_: int) -> None:
        connection = http.client.HTTPConnection(urlsplit(server.url).netloc)
        for image in IMAGES * 4:
            connection.request("POST", pixels_target(image), BODY)
            connection.getresponse().read()
        connection.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(client, range(4)))
    found = counters(server.url)
    assert found["requests"] == {"getPixels": 16 * len(IMAGES)}
    assert found["most_in_flight"] <= 4


def test_disconnected_clients_are_not_in_flight(server: EarthEngineServer) -> None:
    server.plan = FaultPlan(always={IMAGES[0]: "stall"}, stall_s=600)
    for _ in range(3):
        with pytest.raises(TimeoutError):
            ask(server.url, "POST", pixels_target(IMAGES[0]), BODY, timeout=0.1)
    assert read(server, IMAGES[1])[0] == 200
    assert counters(server.url)["most_in_flight"] == 1


def test_highest_rate_is_the_maximum_over_one_second(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([0.0, 0.6, 1.1, 1.3, 1.59, 1.6, 5.0])
    monkeypatch.setattr("time.monotonic", lambda: next(times))
    here, there = socket.socketpair()
    with here, there:
        counted = Counters()
        for _ in range(7):
            counted.arrived("getPixels", here)
    assert counted.summary()["highest_rate"] == 4


def test_correct_pixel_responses_are_counted_by_grid_and_image(server: EarthEngineServer) -> None:
    server.plan = FaultPlan(always={IMAGES[0]: "503", IMAGES[1]: "npy_version_2"})
    for image in (IMAGES[0], IMAGES[1], IMAGES[2], IMAGES[2]):
        read(server, image)
    assert list(counters(server.url)["grids"].values()) == [{IMAGES[1]: 1, IMAGES[2]: 2}]


def test_workload_tags_are_counted_and_checked(server: EarthEngineServer) -> None:
    for tag, status in (("caco-data", 200), ("Caco data", 400)):
        body = json.dumps(json.loads(BODY) | {"workloadTag": tag}).encode()
        assert ask(server.url, "POST", pixels_target(IMAGES[0]), body)[0] == status
    assert counters(server.url)["workload_tags"] == {"caco-data": 1, "Caco data": 1}


def test_counters_can_be_reset(server: EarthEngineServer) -> None:
    sent = len(read(server)[1])
    found = counters(server.url)
    assert (found["requests"], found["status"]) == ({"getPixels": 1}, {"200": 1})
    assert sent < found["bytes_sent"] < sent + 300
    assert found["highest_rate"] == 1
    ask(server.url, "DELETE", "/counters")
    empty: dict[str, int] = {}
    assert found["grids"] == {f"{GRID.crs} {GRID.left_m} {GRID.top_m}": {IMAGES[0]: 1}}
    assert counters(server.url) == {
        "requests": empty, "status": empty, "faults": empty,
        "workload_tags": empty, "grids": empty, "bytes_sent": 0, "in_flight": 0,
        "most_in_flight": 0, "highest_rate": 0, "seconds": 0.0,
    }  # fmt: skip
