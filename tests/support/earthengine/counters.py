"""Counts of the test server's requests, and of those in flight."""

from __future__ import annotations

import select
import socket
import threading
import time
from collections import Counter, deque
from typing import Any


def disconnected(connection: socket.socket, seconds: float = 0.0) -> bool:
    """Return whether the client disconnects within some seconds; it sends nothing meanwhile."""
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    return bool(poll.poll(seconds * 1000))


class Counters:
    """Counts; requests in flight and the rate include listings and pixel requests only."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._connections: set[socket.socket] = set()
        self.reset()

    def reset(self) -> None:
        """Set the counts to zero; requests in flight remain."""
        with self._lock:
            self._requests: Counter[str] = Counter()
            self._statuses: Counter[str] = Counter()
            self._faults: Counter[str] = Counter()
            self._tags: Counter[str] = Counter()
            self._grids: dict[str, Counter[str]] = {}
            self._bytes = 0
            self._most_in_flight = len(self._connections)
            self._arrivals: deque[float] = deque()
            self._rate = 0
            self._first: float | None = None
            self._seconds = 0.0

    def arrived(self, kind: str, connection: socket.socket) -> int:
        """Count a request and return the number in flight, including it.

        A client that times out disconnects and retries while its first request may still be
        waiting here; that one is no longer in flight.
        """
        with self._lock:
            self._requests[kind] += 1
            if kind in ("listAssets", "getPixels"):
                self._connections = {one for one in self._connections if not disconnected(one)}
                self._connections.add(connection)
                self._most_in_flight = max(self._most_in_flight, len(self._connections))
                now = time.monotonic()
                self._first = self._first or now
                self._seconds = now - self._first  # from the first arrival to the last
                self._arrivals.append(now)
                while self._arrivals[0] <= now - 1.0:
                    self._arrivals.popleft()
                self._rate = max(self._rate, len(self._arrivals))
            return len(self._connections)

    def ended(self, connection: socket.socket) -> None:
        """Record that the response to a request is about to be sent or dropped."""
        with self._lock:
            self._connections.discard(connection)

    def responded(self, status: int, nbytes: int) -> None:
        """Count a response and its bytes, including the header."""
        with self._lock:
            self._statuses[str(status)] += 1
            self._bytes += nbytes

    def failed(self, kind: str) -> None:
        """Count a fault."""
        with self._lock:
            self._faults[kind] += 1

    def tagged(self, tag: str) -> None:
        """Count a request with a workload tag."""
        with self._lock:
            self._tags[tag] += 1

    def read(self, grid: str, image_id: str) -> None:
        """Count a correct response with the pixels of an image on a grid."""
        with self._lock:
            self._grids.setdefault(grid, Counter())[image_id] += 1

    def summary(self) -> dict[str, Any]:
        """Return all counts in a form for JSON."""
        with self._lock:
            return {
                "requests": dict(self._requests),
                "status": dict(self._statuses),
                "faults": dict(self._faults),
                "workload_tags": dict(self._tags),
                "grids": {grid: dict(images) for grid, images in self._grids.items()},
                "bytes_sent": self._bytes,
                "in_flight": len(self._connections),
                "most_in_flight": self._most_in_flight,
                "highest_rate": self._rate,
                "seconds": self._seconds,
            }
