"""The Earth Engine stand-in on the wire: HTTP, and the faults that happen there."""

from __future__ import annotations

import gzip
import socket
import sys
import time
from contextlib import suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from tests.support.earthengine.counters import hung_up
from tests.support.earthengine.faults import WIRE_KINDS
from tests.support.earthengine.messages import Answer, Request

if TYPE_CHECKING:
    from tests.support.earthengine.server import EarthEngineServer

#: Seconds between two bytes of a drip.
_DRIP_S = 0.05


class HttpServer(ThreadingHTTPServer):
    """Listens, a thread a connection."""

    request_queue_size = 512
    daemon_threads = True

    def __init__(self, address: tuple[str, int], stand_in: EarthEngineServer) -> None:
        super().__init__(address, _Handler)
        self.stand_in = stand_in
        self._connections: set[socket.socket] = set()

    def process_request(self, request: Any, client_address: Any) -> None:
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._connections.discard(request)
        super().shutdown_request(request)

    def hang_up(self) -> None:
        """End every connection, and with it the thread that waits for it."""
        for connection in list(self._connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), OSError):  # else the client went away
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: HttpServer

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: there are counters."""

    def _respond(self) -> None:
        stand_in = self.server.stand_in
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        if self.path in ("/counters", "/faults"):
            self.connection.sendall(self._wire(stand_in.control(self.command, self.path, body)))
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request.of(self.command, self.path, headers, body)
        in_flight = stand_in.counters.arrived(request.kind, self.connection)
        try:
            if stand_in.latency_s and request.kind in ("listAssets", "getPixels"):
                hung_up(self.connection, stand_in.latency_s)
            fault, answer = stand_in.answer(request, in_flight)
            if fault:
                stand_in.counters.failed(fault)
            if stand_in.gzip_answers and "gzip" in headers.get("accept-encoding", ""):
                answer = _compress(answer)
            self._send(answer, fault)
        finally:
            stand_in.counters.ended(self.connection)

    do_GET = do_POST = do_PUT = do_DELETE = _respond  # noqa: N815

    def _send(self, answer: Answer, fault: str) -> None:
        """Send an answer as the faults of the wire have it."""
        counters, plan = self.server.stand_in.counters, self.server.stand_in.plan
        data = self._wire(answer)
        self.close_connection = fault in WIRE_KINDS
        if fault == "drop":
            return
        if fault == "short_body":
            data = data[: -max(1, len(answer.body) // 3)]
        gone = fault == "stall" and hung_up(self.connection, plan.stall_s)
        end, sent = time.monotonic() + plan.stall_s, 0
        while fault == "drip" and not gone and time.monotonic() < end and sent < len(data) - 1:
            sent += self.connection.send(data[sent : sent + 1])
            gone = hung_up(self.connection, _DRIP_S)
        if gone:
            return
        # Before the answer is out, for with it the client may send its next request.
        counters.ended(self.connection)
        counters.answered(answer.status, len(data))
        self.connection.sendall(data[sent:])

    def _wire(self, answer: Answer) -> bytes:
        head = [
            f"HTTP/1.1 {answer.status} {self.responses[answer.status][0]}",
            f"Content-Type: {answer.content_type}",
            f"Content-Length: {len(answer.body)}",
            *(f"{name}: {value}" for name, value in answer.headers),
        ]
        return "\r\n".join([*head, "", ""]).encode() + answer.body


def _compress(answer: Answer) -> Answer:
    if any(name == "Content-Encoding" for name, _ in answer.headers):
        return answer
    encoding = ("Content-Encoding", "gzip")
    return replace(answer, body=gzip.compress(answer.body, 1), headers=(*answer.headers, encoding))
