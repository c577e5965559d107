"""HTTP of the test server, with the faults of the connection."""

from __future__ import annotations

import gzip
import socket
import sys
import time
from contextlib import suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from tests.support.earthengine.counters import disconnected
from tests.support.earthengine.faults import COMPLETE_KINDS, CONNECTION_KINDS
from tests.support.earthengine.messages import Request, Response, parse_pixels, workload_tag

if TYPE_CHECKING:
    from tests.support.earthengine.server import EarthEngineServer

#: Seconds between two bytes of a drip.
_DRIP_S = 0.05


class HttpServer(ThreadingHTTPServer):
    """HTTP server with one thread per connection."""

    request_queue_size = 512
    daemon_threads = True

    def __init__(self, address: tuple[str, int], test_server: EarthEngineServer) -> None:
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
    server: HttpServer

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing; requests are counted instead."""

    def _respond(self) -> None:
        test_server = self.server.test_server
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        if self.path in ("/counters", "/faults"):
            self.connection.sendall(
                self._encoded(test_server.control(self.command, self.path, body))
            )
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request.of(self.command, self.path, headers, body)
        in_flight = test_server.counters.arrived(request.kind, self.connection)
        try:
            if test_server.latency_s and request.kind in ("listAssets", "getPixels"):
                disconnected(self.connection, test_server.latency_s)
            fault, response = test_server.response(request, in_flight)
            if fault:
                test_server.counters.failed(fault)
            if tag := workload_tag(request):
                test_server.counters.tagged(tag)
            if test_server.gzip_responses and "gzip" in headers.get("accept-encoding", ""):
                response = _compress(response)
            self._send(request, response, fault)
        finally:
            test_server.counters.ended(self.connection)

    do_GET = do_POST = do_PUT = do_DELETE = _respond  # noqa: N815

    def _send(self, request: Request, response: Response, fault: str) -> None:
        """Send a response with the faults of the connection."""
        counters, plan = self.server.test_server.counters, self.server.test_server.plan
        data = self._encoded(response)
        self.close_connection = fault in CONNECTION_KINDS
        if fault == "drop":
            return
        if fault == "short_body":
            data = data[: -max(1, len(response.body) // 3)]
        gone = fault == "stall" and disconnected(self.connection, plan.stall_s)
        end, sent = time.monotonic() + plan.stall_s, 0
        while fault == "drip" and not gone and time.monotonic() < end and sent < len(data) - 1:
            sent += self.connection.send(data[sent : sent + 1])
            gone = disconnected(self.connection, _DRIP_S)
        if gone:
            return
        # Before the response is sent, because the client may then send its next request.
        counters.ended(self.connection)
        counters.responded(response.status, len(data))
        if request.kind == "getPixels" and response.status == 200 and fault in COMPLETE_KINDS:
            grid = parse_pixels(request.body)[1]
            counters.read(f"{grid.crs} {grid.left_m} {grid.top_m}", request.image_id)
        self.connection.sendall(data[sent:])

    def _encoded(self, response: Response) -> bytes:
        head = [
            f"HTTP/1.1 {response.status} {self.responses[response.status][0]}",
            f"Content-Type: {response.content_type}",
            f"Content-Length: {len(response.body)}",
            *(f"{name}: {value}" for name, value in response.headers),
        ]
        return "\r\n".join([*head, "", ""]).encode() + response.body


def _compress(response: Response) -> Response:
    if any(name == "Content-Encoding" for name, _ in response.headers):
        return response
    encoding = ("Content-Encoding", "gzip")
    return replace(
        response, body=gzip.compress(response.body, 1), headers=(*response.headers, encoding)
    )
