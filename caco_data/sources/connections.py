"""HTTP connections on which a deadline holds for the whole response.

urllib3's read timeout starts again with every byte received, so that a response sent byte by byte
can take any time. Here the socket's timeout before every read is the time left, also while the
status line, the headers and a proxy's response to CONNECT are read.
"""

from __future__ import annotations

import http.client
import io
import socket
import threading
import time
from typing import Any

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

_request = threading.local()


def set_deadline(seconds: float) -> None:
    """Set the deadline of the requests of this thread, seconds from now."""
    _request.deadline = time.monotonic() + seconds


class _Reader(io.RawIOBase):
    """Reads from a socket until the deadline of the reading thread."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._raw: Any = sock.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = _request.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("deadline")
        self._sock.settimeout(left)
        size: int | None = self._raw.readinto(buffer)
        return size

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Socket:
    """The part of a socket that `http.client.HTTPResponse` uses."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Reader(self._sock))


class _Response(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **options: Any) -> None:
        super().__init__(_Socket(sock), *args, **options)  # type: ignore[arg-type]


class _Connection(HTTPConnection):
    response_class = _Response


class _SecureConnection(HTTPSConnection):
    response_class = _Response


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


#: Connection pools by scheme, for a `urllib3.PoolManager`.
POOLS = {"http": _Pool, "https": _SecurePool}
