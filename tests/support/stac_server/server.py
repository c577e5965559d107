"""Test server: a STAC API on 127.0.0.1 and the GeoTIFFs of its items, from any `ImageSource`.

On the command line::

    python -m tests.support.stac_server --port 8081
    caco-data download --source stac --stac-url http://127.0.0.1:8081
"""

from __future__ import annotations

import json
import re
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from caco_data.sources.base import ImageSource
from caco_data.sources.simulated.settings import SimulatedSettings
from caco_data.types import Grid, Scene
from tests.support.earthengine.counters import disconnected
from tests.support.stac_server.catalogue import (
    Catalogue,
    Product,
    earth_search,
)
from tests.support.stac_server.cogs import Painter

_FILE = re.compile(r"/files/([^/]+)/([^/]+)/([^/]+)\.tif")
_CONFORMS = [
    "https://api.stacspec.org/v1.0.0/core",
    "https://api.stacspec.org/v1.0.0/item-search",
    "https://api.stacspec.org/v1.0.0/item-search#query",
]


#: A search with a result.
_EXAMPLE: dict[str, Any] = {
    "datetime": "2020-06-01T00:00:00Z/2020-06-20T00:00:00Z",
    "intersects": {"type": "Polygon", "coordinates": [[[1, 43], [1.1, 43], [1, 43.1], [1, 43]]]},
}


class Response:
    """Status, header fields and body."""

    def __init__(
        self, body: bytes, status: int = 200, kind: str = "application/json", **fields: str
    ) -> None:
        self.body = body
        self.status = status
        self.fields = {"Content-Type": kind, **fields}
        self.stall_s = 0.0
        """Seconds after half of the body during which nothing is sent."""


#: Changes a response: request path, the correct response -> the response sent; None to drop the
#: connection.
Fault = Callable[[str, "Response"], "Response | None"]


class StacServer:
    """The server; as a context manager it runs in threads of this process.

    Parameters
    ----------
    source : ImageSource, optional
        Source of the images; the simulated archive by default.
    publish : callable
        Returns the products of a scene; see `catalogue`.
    patches : sequence of Grid, optional
        The only parts of the images with data; see `Painter`.
    port : int
        0 for any free port.
    latency_s : float
        Delay before each response, seconds.
    page_size : int
        Maximum number of items on a page.
    block : int
        Side of the files' blocks, pixels.
    """

    def __init__(
        self,
        source: ImageSource | None = None,
        publish: Callable[[Scene], tuple[Product, ...]] = earth_search,
        patches: Sequence[Grid] | None = None,
        *,
        port: int = 0,
        latency_s: float = 0.0,
        page_size: int = 100,
        block: int = 512,
    ) -> None:
        source = source or SimulatedSettings().open()
        self.catalogue = Catalogue(source, publish, block)
        self.painter = Painter(source, patches)
        self.fault: Fault | None = None
        self.requests: Counter[str] = Counter()
        self.nbytes = 0
        self.paths: list[str] = []
        self.latency_s = latency_s
        self._page_size = page_size
        self._lock = threading.Lock()
        self._http = _HttpServer(("127.0.0.1", port), self)
        self.url = f"http://127.0.0.1:{self._http.server_port}"

    def __enter__(self) -> StacServer:
        """Start serving."""
        threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *exception: object) -> None:
        """Stop serving and close all connections."""
        self._http.shutdown()
        self._http.server_close()
        self._http.hang_up()

    def respond(self, method: str, target: str, fields: Any, body: bytes) -> Response | None:
        """Return the response to a request; None to drop the connection."""
        path = urlsplit(target).path
        kind = "file" if _FILE.fullmatch(path) else path.strip("/").split("/")[0] or "landing"
        with self._lock:
            self.requests[kind] += 1
            self.paths.append(path)
        if self.latency_s:
            time.sleep(self.latency_s)
        response: Response | None = self._correct(method, target, fields, body)
        if self.fault and response is not None:
            response = self.fault(path, response)
        if response is not None:
            with self._lock:
                self.nbytes += len(response.body)
        return response

    def _correct(self, method: str, target: str, fields: Any, body: bytes) -> Response:
        path = urlsplit(target).path
        if match := _FILE.fullmatch(path):
            if method == "HEAD":
                return self._size(match[1], match[2], match[3])
            return self._file(match[1], match[2], match[3], fields.get("range", ""))
        if path in ("", "/"):
            return _json(self._landing())
        if path == "/search":
            query = json.loads(body) if method == "POST" else _get_query(target)
            return self._search(query)
        return _json({"code": "NotFound", "description": f"no {path}"}, 404)

    def _landing(self) -> dict[str, Any]:
        return {
            "type": "Catalog", "id": "test", "title": "test", "description": "test server",
            "stac_version": "1.0.0", "conformsTo": _CONFORMS,
            "links": [
                {"rel": "self", "href": self.url, "type": "application/json"},
                {"rel": "root", "href": self.url, "type": "application/json"},
                {"rel": "search", "href": f"{self.url}/search", "method": "POST",
                 "type": "application/geo+json"},
            ],
        }  # fmt: skip

    def _search(self, query: dict[str, Any]) -> Response:
        if "datetime" not in query:  # an example of an item
            query = {**query, **_EXAMPLE}
        start, end = (
            datetime.fromisoformat(one.replace("Z", "+00:00"))
            for one in query["datetime"].split("/")
        )
        items = self.catalogue.search(query, start, end)
        first = int(query.get("token", 0))
        limit = min(int(query.get("limit", 10)), self._page_size)
        links = []
        if first + limit < len(items):
            following = {**query, "token": str(first + limit)}
            links = [
                {"rel": "next", "href": f"{self.url}/search", "method": "POST", "body": following}
            ]
        page = [
            self.catalogue.item(scene, product, self.url)
            for scene, product in items[first : first + limit]
        ]
        return _json({"type": "FeatureCollection", "features": page, "links": links})

    def _size(self, collection: str, image_id: str, band: str) -> Response:
        """Return the header fields of a file, for which none of its blocks are made."""
        try:
            nbytes = self.catalogue.cog(image_id, collection, band).nbytes
        except LookupError:
            return Response(b"", 404, "application/xml")
        fields = {"Content-Length": str(nbytes), "Accept-Ranges": "bytes", "ETag": '"1"'}
        return Response(b"", 200, "image/tiff", **fields)

    def _file(self, collection: str, image_id: str, band: str, wanted: str) -> Response:
        try:
            cog = self.catalogue.cog(image_id, collection, band)
            size = cog.nbytes
        except LookupError:
            return Response(b"<Error><Code>NoSuchKey</Code></Error>", 404, "application/xml")
        match = re.fullmatch(r"bytes=(\d+)-(\d*)", wanted)
        start = int(match[1]) if match else 0
        end = min(int(match[2]) + 1, size) if match and match[2] else size
        if start >= size:
            return Response(b"", 416, "application/xml")
        data = self.painter.read(cog, start, end)
        fields = {"Content-Range": f"bytes {start}-{end - 1}/{size}"} if match else {}
        fields["ETag"] = '"1"'
        return Response(data, 206 if match else 200, "image/tiff", **fields)


def _json(value: Any, status: int = 200) -> Response:
    return Response(json.dumps(value).encode(), status)


def _get_query(target: str) -> dict[str, Any]:
    query: dict[str, Any] = {k: v[0] for k, v in parse_qs(urlsplit(target).query).items()}
    query["collections"] = query["collections"].split(",")
    for name in ("intersects", "query"):
        if name in query:
            query[name] = json.loads(query[name])
    return query


class _HttpServer(ThreadingHTTPServer):
    """HTTP server with one thread per connection."""

    request_queue_size = 512
    daemon_threads = True

    def __init__(self, address: tuple[str, int], test_server: StacServer) -> None:
        super().__init__(address, _Handler)
        self.test_server = test_server
        self._connections: set[socket.socket] = set()

    def process_request(self, request: Any, client_address: Any) -> None:
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._connections.discard(request)
        super().shutdown_request(request)

    def hang_up(self) -> None:
        """Close every connection, which ends the thread that waits for it."""
        for connection in list(self._connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), OSError):  # otherwise the client disconnected
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _HttpServer

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing; requests are counted instead."""

    def _respond(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        fields = {name.lower(): value for name, value in self.headers.items()}
        response = self.server.test_server.respond(self.command, self.path, fields, body)
        if response is None:
            self.close_connection = True
            return
        self.send_response_only(response.status)
        length = response.fields.pop("Content-Length", str(len(response.body)))
        for name, value in {**response.fields, "Content-Length": length}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        half = len(response.body) // 2 if response.stall_s else 0
        if half:
            self.wfile.write(response.body[:half])
            self.wfile.flush()
            disconnected(self.connection, response.stall_s)
        self.wfile.write(response.body[half:])
        if int(length) != len(response.body):
            self.close_connection = True

    do_GET = do_HEAD = do_POST = _respond  # noqa: N815
