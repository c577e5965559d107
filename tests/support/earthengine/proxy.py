"""A small HTTP proxy on 127.0.0.1 for tests: forwards requests, refuses tunnels."""

from __future__ import annotations

import threading
import time
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


class TestProxy:
    """Forwards requests for any host to one server.

    Parameters
    ----------
    target : str
        Address of the server.
    authorization : str, optional
        Required value of Proxy-Authorization; 407 without it.
    connect_status : int
        Status of the response to CONNECT; 0 to send its header byte by byte without an end.
    """

    __test__ = False  # not a test class

    def __init__(self, target: str, authorization: str = "", connect_status: int = 407) -> None:
        self.target = target
        self.authorization = authorization
        self.connect_status = connect_status
        self.requests: list[tuple[str, str, str]] = []
        """Method, target and Proxy-Authorization of each request."""
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self.address = f"127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> TestProxy:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def _handler(proxy: TestProxy) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:
            """Log nothing."""

        def _record(self) -> bool:
            sent = self.headers.get("Proxy-Authorization", "")
            proxy.requests.append((self.command, self.path, sent))
            return not proxy.authorization or sent == proxy.authorization

        def _answer(self, status: int, body: bytes = b"", kind: str = "text/html") -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_CONNECT(self) -> None:
            self._record()
            if proxy.connect_status:
                self._answer(proxy.connect_status)
                return
            try:
                for byte in b"HTTP/1.1 200 OK\r\nX-Padding: " + b"x" * 10_000:
                    self.connection.sendall(bytes([byte]))
                    time.sleep(0.05)
            except OSError:
                self.close_connection = True

        def _forward(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if not self._record():
                self._answer(407, b"<html>Login required</html>")
                return
            there, parts = urlsplit(proxy.target), urlsplit(self.path)
            headers = {k: v for k, v in self.headers.items() if not k.lower().startswith("proxy")}
            try:
                onward = HTTPConnection(there.netloc, timeout=30)
                onward.request(self.command, f"{parts.path}?{parts.query}", body, headers)
                response = onward.getresponse()
                content = response.read()
                self._answer(response.status, content, response.headers["Content-Type"])
                onward.close()
            except (TimeoutError, OSError):
                self._answer(502)

        do_GET = do_POST = _forward  # noqa: N815

    return Handler
