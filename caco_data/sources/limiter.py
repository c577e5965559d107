"""Request limits: one Limiter per process enforces its share of the caps over all processes.

The number of requests in flight is capped by a window that is halved when the service throttles and
grows by one per window of responses (additive increase, multiplicative decrease, as in TCP). The
rate is capped by time slots on the wall clock, assigned to the processes in turn: the processes do
not communicate, and their requests do not start at the same time.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from caco_data.errors import TransientError
from caco_data.sources.tally import STATUS_INTERVAL_S, Counts, WorkerStatus

#: Seconds since the epoch at the start of the process minus its monotonic clock: the time slots are
#: aligned between processes, and a change of the system clock does not delay requests.
_EPOCH_S = time.time() - time.monotonic()
#: Fraction of the requests in flight that remains when the service restricts parallelism; the
#: actual limit is not documented.
_RESTRICTED = 0.25
#: Requests start at this fraction of the maximum rate: their spacing varies on the network.
_MARGIN = 0.97


@dataclass(frozen=True, slots=True)
class RateShare:
    """Share of one process in the caps on requests of all processes."""

    in_flight: int = 2**31
    """Maximum requests of this process in flight."""
    per_second: float | None = None
    """Maximum requests started per second, over all processes; None for no cap."""
    place: int = 0
    """Number of this process, 0..of-1."""
    of: int = 1
    """Number of processes that share `per_second`."""

    def next_start(self, after: float) -> float:
        """First time slot of this process after a time; both in seconds since the epoch."""
        if self.per_second is None:
            return after
        rate = self.per_second * _MARGIN
        # Tolerance: a start slightly before its slot because of rounding counts as that slot.
        slot = math.floor(after * rate + 1e-3) + 1
        return (slot + (self.place - slot) % self.of) / rate


class Limiter:
    """Limits the requests of all threads of one process, and counts them.

    Parameters
    ----------
    share : RateShare, optional
        Share of this process in the caps.
    on_status : callable, optional
        Called with the status at the end of a request, at most once per `STATUS_INTERVAL_S`.
    """

    def __init__(
        self,
        share: RateShare | None = None,
        on_status: Callable[[WorkerStatus], None] | None = None,
    ) -> None:
        self._share = share or RateShare()
        self._on_status = on_status
        lock = threading.RLock()
        self._free = threading.Condition(lock)
        self._shared = threading.Condition(lock)  # notified when the share changes
        self._turn = threading.Lock()  # held by the thread that waits for the next time slot
        self._busy = 0  # requests that have a place in the window; some still wait for their slot
        self._in_flight = 0
        self._window = math.inf  # limited by `share.in_flight`
        self._start = 0.0
        self._halved_at = 0.0
        self.answered_at = -math.inf
        """`time.monotonic()` of the last call that succeeded."""
        self._reported_at = time.monotonic()
        self._counts = Counts()
        self._last_failure = ""
        self._restricted = False
        self.stopped = threading.Event()
        """Set when the run ends: calls that wait for a retry fail."""

    @property
    def share(self) -> RateShare:
        """Share of this process in the caps; may be replaced at any time."""
        return self._share

    @share.setter
    def share(self, share: RateShare) -> None:
        with self._shared:
            self._share = share
            self._shared.notify_all()
            self._free.notify_all()

    @property
    def window(self) -> int:
        """Current maximum of requests in flight."""
        in_flight = self.share.in_flight * (_RESTRICTED if self._restricted else 1)
        return max(1, int(min(self._window, in_flight)))

    @contextmanager
    def request(self) -> Iterator[None]:
        """Wait for a place in the window and a time slot; occupy the place until the exit."""
        with self._free:
            self._free.wait_for(lambda: self._busy < self.window)
            self._busy += 1
        try:
            self._wait_for_slot()
            with self._free:
                self._in_flight += 1
                self._counts.requests += 1
            try:
                yield
            finally:
                with self._free:
                    self._in_flight -= 1
        finally:
            with self._free:
                self._busy -= 1
                self._free.notify()
            self._report()

    def _wait_for_slot(self) -> None:
        """Wait for the next time slot, which moves when the share changes.

        One thread at a time: slots that are assigned in advance would not follow a change.
        """
        with self._turn, self._shared:
            share = None
            while share is not self._share:
                share = self._share
                start = share.next_start(max(_now(), self._start))
                self._shared.wait(start - _now())
            self._start = start

    def answered(self) -> None:
        """Record that a call succeeded: the window grows."""
        with self._free:
            self.answered_at = time.monotonic()
            self._counts.answers += 1
            grown = self._window + 1 / self._window
            self._window = grown if grown < self.share.in_flight else math.inf
            self._free.notify()

    def answered_since(self, moment: float) -> bool:
        """Whether any call of this process has succeeded since a `time.monotonic()`."""
        return self.answered_at >= moment

    def throttled(self, began: float) -> None:
        """Record that a call begun at a `time.monotonic()` was throttled: the window is halved.

        Calls begun before the last halving do not halve it again: they report the same throttling.
        """
        with self._free:
            if began >= self._halved_at:
                self._halved_at = time.monotonic()
                self._window = max(1.0, min(self._window, self.share.in_flight) / 2)

    def failed(self, error: TransientError) -> None:
        """Record a transient failure, which is retried."""
        with self._free:
            self._last_failure = str(error)
            self._counts.add(Counts(retries={error.what: 1}))

    def restrict(self) -> None:
        """Record that the service restricts parallelism: permanently fewer requests in flight."""
        self._restricted = True

    def count(self, counts: Counts) -> None:
        """Add to the totals."""
        with self._free:
            self._counts.add(counts)

    def status(self) -> WorkerStatus:
        """Return a snapshot of the current status."""
        with self._free:
            counts = replace(self._counts, retries=dict(self._counts.retries))
            return WorkerStatus(
                counts, self._in_flight, self.window, self._last_failure, self._restricted
            )

    def _report(self) -> None:
        if self._on_status is None:
            return
        with self._free:
            now = time.monotonic()
            if now - self._reported_at < STATUS_INTERVAL_S:
                return
            self._reported_at = now
        self._on_status(self.status())


def _now() -> float:
    """Seconds since the epoch, unaffected by changes of the system clock."""
    return _EPOCH_S + time.monotonic()
