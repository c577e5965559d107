"""Counts of requests, bytes, tiles and retries."""

from __future__ import annotations

from dataclasses import dataclass, field

#: Seconds between two status reports of a worker.
STATUS_INTERVAL_S = 1.0


@dataclass(slots=True)
class Counts:
    """Running totals."""

    requests: int = 0
    """Requests sent: listings and pixel reads, including retries."""
    answers: int = 0
    """Calls that succeeded."""
    nbytes: int = 0
    """Bytes of pixels received, uncompressed."""
    tiles: int = 0
    """Tiles accepted."""
    retries: dict[str, int] = field(default_factory=dict)
    """Retries by the name of the failure."""

    def add(self, other: Counts) -> None:
        """Add other counts to these."""
        self.requests += other.requests
        self.answers += other.answers
        self.nbytes += other.nbytes
        self.tiles += other.tiles
        for cause, n in other.retries.items():
            self.retries[cause] = self.retries.get(cause, 0) + n


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """Status of one process."""

    counts: Counts
    """Totals since its start."""
    in_flight: int
    """Requests in flight now."""
    window: int
    """Current maximum of requests in flight, reduced while the service throttles."""
    last_failure: str = ""
    """Message of the last transient failure; empty before the first."""
    restricted: bool = False
    """Whether the service has restricted the number of requests that it processes in parallel."""
