"""An S3 server on the loopback interface: moto in another process, behind a proxy with faults."""

from __future__ import annotations

import http.client
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

#: Decides on a request by method and path: None to forward it, or status and S3 error code.
Rule = Callable[[str, str], tuple[int, str] | None]
_HOP = {"connection", "transfer-encoding", "content-length", "expect", "host"}


@dataclass
class S3Server:
    """A running server."""

    url: str
    """URL of the proxy."""
    environment: dict[str, str]
    """Environment variables for its clients."""
    rule: Rule | None = None
    """Faults; may be set at any time."""
    requests: list[tuple[str, str]] = field(default_factory=list)
    """Method and path of all requests."""

    def make_bucket(self, name: str) -> str:
        """Make a bucket; return its URL."""
        self._request("PUT", f"/{name}")
        return f"s3://{name}"

    def unfinished_uploads(self, bucket: str) -> int:
        """Count the uploads whose parts a bucket (URL) keeps."""
        return self._request("GET", f"/{bucket.removeprefix('s3://')}?uploads").count(b"<Upload>")

    def _request(self, method: str, path: str) -> bytes:
        connection = http.client.HTTPConnection(self.url.removeprefix("http://"), timeout=60)
        connection.request(method, path, headers={"Content-Length": "0"})
        response = connection.getresponse()
        body = response.read()
        connection.close()
        assert response.status == 200, body
        return body


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def _handler(server: list[S3Server], port: int) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            state = server[0]
            state.requests.append((self.command, self.path))
            fault = state.rule(self.command, self.path) if state.rule else None
            if fault is not None:
                status, code = fault
                text = f"<Error><Code>{code}</Code><Message>{code} (planned)</Message></Error>"
                self._send(status, [("Content-Type", "application/xml")], text.encode())
                return
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            headers = {k: v for k, v in self.headers.items() if k.lower() not in _HOP}
            connection.request(self.command, self.path, body or None, headers)
            response = connection.getresponse()
            kept = [(k, v) for k, v in response.getheaders() if k.lower() not in _HOP]
            length = response.getheader("Content-Length")
            self._send(response.status, kept, response.read(), length)
            connection.close()

        def _send(
            self,
            status: int,
            headers: list[tuple[str, str]],
            body: bytes,
            length: str | None = None,
        ) -> None:
            self.send_response_only(status)
            for name, value in headers:
                self.send_header(name, value)
            head = self.command == "HEAD"
            self.send_header("Content-Length", (length or "0") if head else str(len(body)))
            self.end_headers()
            if not head:
                self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    for method in ("GET", "HEAD", "PUT", "POST", "DELETE"):
        setattr(Handler, f"do_{method}", Handler._answer)
    return Handler


@contextmanager
def s3_server() -> Iterator[S3Server]:
    """Start a server; it has no buckets."""
    port = _free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    holder: list[S3Server] = []
    proxy = ThreadingHTTPServer(("127.0.0.1", 0), _handler(holder, port))
    proxy.daemon_threads = True
    thread = threading.Thread(target=proxy.serve_forever, daemon=True)
    try:
        while True:
            assert process.poll() is None
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                time.sleep(0.1)
        thread.start()
        url = f"http://127.0.0.1:{proxy.server_port}"
        environment = {
            "AWS_ENDPOINT_URL": url,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_MAX_ATTEMPTS": "1",
        }
        holder.append(S3Server(url, environment))
        yield holder[0]
    finally:
        if thread.is_alive():
            proxy.shutdown()
            thread.join()
        proxy.server_close()
        process.kill()
        process.wait()
