"""The test server of STAC items and files."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from tests.support.stac_server.server import StacServer

QUERY = {
    "collections": ["sentinel-2-c1-l2a"],
    "datetime": "2020-06-01T00:00:00Z/2020-06-20T00:00:00Z",
    "intersects": {"type": "Polygon", "coordinates": [[[1, 43], [1.1, 43], [1, 43.1], [1, 43]]]},
    "limit": 1,
}


@pytest.fixture
def server() -> Iterator[StacServer]:
    with StacServer() as running:
        yield running


def test_the_size_of_a_file_is_served_without_its_blocks(server: StacServer) -> None:
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=60)
    connection.request("POST", "/search", json.dumps(QUERY))
    [item] = json.load(connection.getresponse())["features"]
    path = urlsplit(item["assets"]["red"]["href"]).path
    server.painter.block = None  # type: ignore[assignment, method-assign]  # to make one fails
    connection.request("HEAD", path)
    size = connection.getresponse()
    assert (size.status, size.read()) == (200, b"")
    connection.request("GET", path, headers={"Range": "bytes=0-9"})  # on the same connection
    part = connection.getresponse()
    assert part.read()[:4] == b"II*\x00"
    assert part.headers["Content-Range"] == f"bytes 0-9/{size.headers['Content-Length']}"
    for method, is_empty in (("HEAD", True), ("GET", False)):
        connection.request(method, path.replace(".tif", "x.tif"))
        absent = connection.getresponse()
        assert (absent.status, not absent.read()) == (404, is_empty)
    connection.close()
