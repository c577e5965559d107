"""What the Earth Engine stand-in has been asked, and by how many at once."""

from __future__ import annotations

import select
import socket
import threading
import time
from collections import Counter, deque
from typing import Any


def hung_up(connection: socket.socket, seconds: float = 0.0) -> bool:
    """Whether the other end goes away within some seconds; it has nothing to say until answered."""
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    return bool(poll.poll(seconds * 1000))


class Counters:
    """Counts; in flight and the rate are those of listings and pixel requests only."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._flights: set[socket.socket] = set()
        self.reset()

    def reset(self) -> None:
        """Begin to count anew; what is in flight stays so."""
        with self._lock:
            self._requests: Counter[str] = Counter()
            self._statuses: Counter[str] = Counter()
            self._faults: Counter[str] = Counter()
            self._bytes = 0
            self._most = len(self._flights)
            self._arrivals: deque[float] = deque()
            self._rate = 0
            self._first: float | None = None
            self._seconds = 0.0

    def arrived(self, kind: str, connection: socket.socket) -> int:
        """Count a request; how many are in flight with it.

        A client that misses its deadline hangs up and asks again, while its old request may still
        be waiting here: that one is no longer in flight.
        """
        with self._lock:
            self._requests[kind] += 1
            if kind in ("listAssets", "getPixels"):
                self._flights = {flight for flight in self._flights if not hung_up(flight)}
                self._flights.add(connection)
                self._most = max(self._most, len(self._flights))
                now = time.monotonic()
                self._first = self._first or now
                self._seconds = now - self._first  # from the first arrival to the last
                self._arrivals.append(now)
                while self._arrivals[0] <= now - 1.0:
                    self._arrivals.popleft()
                self._rate = max(self._rate, len(self._arrivals))
            return len(self._flights)

    def ended(self, connection: socket.socket) -> None:
        """Note that a request is about to have its answer, or to be dropped."""
        with self._lock:
            self._flights.discard(connection)

    def answered(self, status: int, nbytes: int) -> None:
        """Count an answer and its bytes, head included."""
        with self._lock:
            self._statuses[str(status)] += 1
            self._bytes += nbytes

    def failed(self, kind: str) -> None:
        """Count a fault."""
        with self._lock:
            self._faults[kind] += 1

    def summary(self) -> dict[str, Any]:
        """Everything, ready for JSON."""
        with self._lock:
            return {
                "requests": dict(self._requests),
                "status": dict(self._statuses),
                "faults": dict(self._faults),
                "bytes_sent": self._bytes,
                "in_flight": len(self._flights),
                "most_in_flight": self._most,
                "highest_rate": self._rate,
                "seconds": self._seconds,
            }
