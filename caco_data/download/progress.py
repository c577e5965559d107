"""Progress of a download."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Literal

from caco_data.sources.tally import Counts, WorkerStatus
from caco_data.types import Outcome


@dataclass(frozen=True, slots=True)
class Stage:
    """A part of a download without requests: resuming reads files, finishing joins shards."""

    name: Literal["resuming", "finishing"]
    done: int
    """Files or shards done."""
    count: int
    """All files or shards."""


@dataclass(slots=True)
class DownloadProgress:
    """Progress of a download; passed to the callback after every location."""

    wanted: int
    """Locations requested."""
    done: int
    """Complete locations, including those of earlier runs."""
    rejected: Counter[str]
    """Rejected locations by reason, including those of earlier runs."""
    settled: int = 0
    """Locations completed or rejected by this run."""
    pending: int = 0
    """Locations still to fetch."""
    failed: dict[int, str] = field(default_factory=dict)
    """Message by pending location whose requests failed although others succeeded."""
    stage: Stage | None = None
    """The present part without requests; None while locations are fetched."""
    finished: bool = False
    """Whether the data set is finished."""
    tiles: int = 0
    """Tiles accepted by this run."""
    requests: int = 0
    """Requests of this run, including retries."""
    nbytes: int = 0
    """Bytes of pixels received by this run."""
    retries: Counter[str] = field(default_factory=Counter)
    """Retries of this run by cause."""
    in_flight: int = 0
    """Requests in flight, as last reported by the workers."""
    window: int = 0
    """Maximum requests in flight: below `concurrency` while the service throttles."""
    restricted: bool = False
    """Whether the service has restricted the number of requests that it processes in parallel."""
    outage_s: float = 0.0
    """Duration of the present outage, seconds; 0 while there is none."""
    outage_cause: str = ""
    """Message of a worker's last transient failure."""
    workers: frozenset[str] = frozenset()
    """Addresses of the workers that are connected now."""
    elapsed_s: float = 0.0
    """Seconds since the start of this run."""

    def settle(self, outcome: Outcome) -> None:
        """Count an outcome."""
        if outcome.failure:
            self.failed[outcome.location_id] = outcome.failure
            return
        self.failed.pop(outcome.location_id, None)
        self.settled += 1
        self.pending -= 1
        if outcome.rejection:
            self.rejected[outcome.rejection.reason] += 1
        else:
            self.done += 1

    def update(self, statuses: Collection[WorkerStatus]) -> Counts:
        """Add up the latest statuses of all workers; return the totals."""
        total = Counts()
        for status in statuses:
            total.add(status.counts)
        self.tiles, self.requests, self.nbytes = total.tiles, total.requests, total.nbytes
        self.retries = Counter(total.retries)
        self.in_flight = sum(status.in_flight for status in statuses)
        self.window = sum(status.window for status in statuses)
        self.restricted = any(status.restricted for status in statuses)
        self.outage_cause = next((s.last_failure for s in statuses if s.last_failure), "")
        return total

    @property
    def eta_s(self) -> float | None:
        """Estimated seconds until the end; None before the first outcome."""
        return self.elapsed_s / self.settled * self.pending if self.settled else None
