"""Counts of requests, bytes, tiles and retries."""

from __future__ import annotations

from dataclasses import dataclass, field

#: Seconds between two pulses.
PULSE_S = 1.0


@dataclass(slots=True)
class Counts:
    """What has been done, added up."""

    requests: int = 0
    """Requests sent: listings and pixel reads, retries included."""
    nbytes: int = 0
    """Bytes of pixels received, before encoding."""
    tiles: int = 0
    """Tiles accepted."""
    retries: dict[str, int] = field(default_factory=dict)
    """Retries by what the failure was called."""

    def add(self, other: Counts) -> None:
        """Add others."""
        self.requests += other.requests
        self.nbytes += other.nbytes
        self.tiles += other.tiles
        for cause, n in other.retries.items():
            self.retries[cause] = self.retries.get(cause, 0) + n


@dataclass(frozen=True, slots=True)
class Pulse:
    """How things stand in a process."""

    counts: Counts
    """All that it has done."""
    in_flight: int
    """Requests on their way now."""
    window: int
    """Most that may be, as the service lets us."""
