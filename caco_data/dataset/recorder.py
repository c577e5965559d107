"""Recorder of a download: decides which events to write to `events.jsonl`."""

from __future__ import annotations

import math
import os
import socket
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Protocol

from caco_data import __version__
from caco_data.dataset.events import EventLog, timestamp
from caco_data.dataset.layout import EVENTS
from caco_data.storage import Storage
from caco_data.types import Outcome

#: Minimum seconds between two lines of retries, and between two lines of throttling.
LINE_EVERY_S = 60.0
#: Maximum number of causes in a line of retries.
_CAUSES = 20


class Progress(Protocol):
    """The parts of a download's progress that the recorder reads."""

    @property
    def done(self) -> int:
        """Complete locations, including those of earlier runs."""
        ...

    @property
    def rejected(self) -> Mapping[str, int]:
        """Rejected locations by reason, including those of earlier runs."""
        ...

    @property
    def pending(self) -> int:
        """Locations still to fetch."""
        ...

    @property
    def requests(self) -> int:
        """Requests of this run, including retries."""
        ...

    @property
    def nbytes(self) -> int:
        """Bytes of pixels received by this run."""
        ...

    @property
    def elapsed_s(self) -> float:
        """Seconds since the start of this run."""
        ...

    @property
    def retries(self) -> Mapping[str, int]:
        """Retries of this run by cause."""
        ...

    @property
    def window(self) -> int:
        """Maximum requests in flight, over all workers."""
        ...

    @property
    def restricted(self) -> bool:
        """Whether the service restricts the number of requests that it processes in parallel."""
        ...

    @property
    def outage_s(self) -> float:
        """Duration of the present outage, seconds; 0 while there is none."""
        ...

    @property
    def outage_cause(self) -> str:
        """Last failure during the present outage."""
        ...

    @property
    def workers(self) -> Collection[str]:
        """Addresses of the workers that are connected now."""
        ...


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Copy of a progress, which is changed in place, at one moment."""

    time: datetime
    elapsed_s: float = 0.0
    window: int = 0
    restricted: bool = False
    outage_s: float = 0.0
    outage_cause: str = ""
    workers: frozenset[str] = frozenset()
    retries: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of(cls, now: Progress) -> Snapshot:
        """Copy a progress."""
        return cls(
            datetime.now(UTC), now.elapsed_s, now.window, now.restricted, now.outage_s,
            now.outage_cause, frozenset(now.workers), Counter(now.retries),
        )  # fmt: skip


Event = tuple[str, dict[str, Any]]


def changes(before: Snapshot, now: Snapshot) -> Iterator[Event]:
    """Yield the events between two snapshots, except retries and throttling.

    The workers of the first snapshot that has any are those with which the run starts.
    """
    for worker in sorted(before.workers - now.workers):
        yield "worker lost", {"worker": worker}
    for worker in sorted(now.workers - before.workers):
        yield "worker started", {"worker": worker}
    if now.restricted and not before.restricted:
        yield "restricted", {}
    if now.outage_s and not before.outage_s:
        since = now.time - timedelta(seconds=now.outage_s)
        yield "outage", {"since": timestamp(since), "cause": now.outage_cause}
    if before.outage_s and not now.outage_s:
        seconds = before.outage_s + now.elapsed_s - before.elapsed_s
        yield "outage over", {"seconds": round(seconds, 1)}


def throttled(before: Snapshot, now: Snapshot) -> bool:
    """Whether the window has shrunk because the service throttles."""
    # The window is the sum of those of all workers: it also shrinks when a worker is lost.
    same = now.workers == before.workers and now.restricted == before.restricted
    return same and 0 < now.window < before.window


class Recorder:
    """Records one run; as a context manager it writes the first and the last events.

    Parameters
    ----------
    storage : Storage
        Folder of the data set.
    concurrency : int
        Maximum requests in flight while the service does not throttle.
    progress : Progress
        State at the start; the same object may be updated during the run.
    """

    def __init__(self, storage: Storage, concurrency: int, progress: Progress) -> None:
        self._resumed = bool(progress.done or progress.rejected or storage.exists(EVENTS))
        self._log = EventLog(storage)
        self._concurrency = concurrency
        self._progress = progress
        self._before = Snapshot.of(progress)
        self._known: frozenset[str] = frozenset()
        self._retries: Counter[str] = Counter()  # since the last line
        self._smallest = 0  # window since the last line; 0 when it has not shrunk
        self._line_at: dict[str, float] = {}

    def __enter__(self) -> Recorder:
        """Record the start."""
        now = self._progress
        self._log.write(
            "start",
            software=f"caco-data {__version__}",
            host=socket.gethostname(),
            pid=os.getpid(),
            pending=now.pending,
            complete=now.done,
            resumed=self._resumed,
        )
        return self

    def outcome(self, outcome: Outcome) -> None:
        """Record the rejection or the failure of a location; complete ones are not recorded."""
        i = outcome.location_id
        if outcome.rejection is not None:
            reason, detail = outcome.rejection.reason, outcome.rejection.detail
            self._log.write("rejected", location_id=i, reason=reason, detail=detail)
        elif outcome.part is None:
            self._log.write("failed", location_id=i, detail=outcome.failure)

    def progress(self, now: Progress) -> None:
        """Record what has changed since the last call; to be called about once per second."""
        self._progress = now
        self._update()
        self._log.flush()

    def _update(self, final: bool = False) -> None:
        before, now = self._before, Snapshot.of(self._progress)
        self._before = now
        for event, fields in changes(before, now):
            if event == "worker started" and not self._known:
                continue
            self._log.write(event, **fields)
        self._known |= now.workers
        # Counts of a lost worker may be missing: differences below zero are ignored.
        self._retries += now.retries - before.retries
        if throttled(before, now):
            self._smallest = min(self._smallest or now.window, now.window)
        if self._retries and self._due("retries", final):
            self._log.write("retries", causes=_most_common(self._retries))
            self._retries.clear()
        if self._smallest and self._due("throttled", final):
            self._log.write("throttled", window=self._smallest, of=self._concurrency)
            self._smallest = 0

    def _due(self, event: str, final: bool) -> bool:
        now = self._before.elapsed_s
        if final or now - self._line_at.get(event, -math.inf) >= LINE_EVERY_S:
            self._line_at[event] = now
            return True
        return False

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Record the error, if there is one, and the end."""
        self._update(final=True)
        if error is not None:
            self._log.write("stopped", reason=_reason(error))
        now = self._progress
        self._log.write(
            "end",
            complete=now.done,
            rejected=dict(now.rejected),
            pending=now.pending,
            requests=now.requests,
            bytes=now.nbytes,
            seconds=round(now.elapsed_s, 1),
        )
        self._log.flush(at_once=True)


def _most_common(causes: Counter[str]) -> dict[str, int]:
    """The most common causes by name, and the others together."""
    common = dict(causes.most_common(_CAUSES))
    rest = causes.total() - sum(common.values())
    return common | {"other": common.get("other", 0) + rest} if rest else common


def _reason(error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt):
        return "Interrupted by ^C or SIGTERM"
    return str(error) or type(error).__name__
