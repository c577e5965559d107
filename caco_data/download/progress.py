"""How far a download is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field

from caco_data.sources.tally import Counts, Pulse
from caco_data.types import Outcome


@dataclass(slots=True)
class DownloadProgress:
    """How far a download is: handed to the callback after every location."""

    wanted: int
    """Locations asked for."""
    done: int
    """Complete locations, those of earlier runs included."""
    rejected: Counter[str]
    """Rejected locations by reason, those of earlier runs included."""
    settled: int = 0
    """Locations completed or rejected by this run."""
    pending: int = 0
    """Locations still to do."""
    tiles: int = 0
    """Tiles accepted by this run."""
    requests: int = 0
    """Requests of this run, retries included."""
    nbytes: int = 0
    """Bytes of pixels received by this run."""
    retries: Counter[str] = field(default_factory=Counter)
    """Retries of this run by cause."""
    in_flight: int = 0
    """Requests on their way, as the workers last reported."""
    window: int = 0
    """Most requests that may be: less than `concurrency` while the service throttles."""
    elapsed_s: float = 0.0
    """Seconds since this run began."""

    def settle(self, outcome: Outcome) -> None:
        """Count an outcome that has been kept."""
        self.settled += 1
        self.pending -= 1
        if outcome.rejection:
            self.rejected[outcome.rejection.reason] += 1
        else:
            self.done += 1

    def heard(self, pulses: Collection[Pulse]) -> None:
        """Take over how things stand in the workers."""
        total = Counts()
        for pulse in pulses:
            total.add(pulse.counts)
        self.tiles, self.requests, self.nbytes = total.tiles, total.requests, total.nbytes
        self.retries = Counter(total.retries)
        self.in_flight = sum(pulse.in_flight for pulse in pulses)
        self.window = sum(pulse.window for pulse in pulses)

    @property
    def eta_s(self) -> float | None:
        """Estimated seconds to the end; None before the first location."""
        return self.elapsed_s / self.settled * self.pending if self.settled else None
