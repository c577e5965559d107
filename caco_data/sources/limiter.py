"""How fast requests may go: one Limiter a process, its share of the caps over all processes.

The number in flight is capped by a window that halves when the service says "too many" and grows
by one for every window of answers (additive increase, multiplicative decrease, as in TCP). The rate
is capped by time slots on the wall clock, dealt out to the processes in turn: nobody needs to talk
to anybody, and no burst of one process meets the burst of another.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from caco_data.sources.tally import PULSE_S, Counts, Pulse

#: Starts keep this far under the cap: on their way, requests bunch up a little.
_MARGIN = 0.97


@dataclass(frozen=True, slots=True)
class Share:
    """What one of several processes may do."""

    in_flight: int = 2**31
    """Most requests of this process in flight."""
    per_second: float | None = None
    """Most requests started a second, over all processes; None for no cap."""
    place: int = 0
    """Which of the processes this is, 0..of-1."""
    of: int = 1
    """How many processes share `per_second`."""

    def next_start(self, after: float) -> float:
        """First moment of this process' slots after a moment; both seconds since the epoch."""
        if self.per_second is None:
            return after
        rate = self.per_second * _MARGIN
        slot = math.floor(after * rate + 1e-3) + 1  # a moment just rounded off a slot is in it
        return (slot + (self.place - slot) % self.of) / rate


class Limiter:
    """Holds the threads of one process to its share, and counts what they do.

    Parameters
    ----------
    share : Share, optional
        May be replaced at any time.
    on_pulse : callable, optional
        Called by a thread that ends a request, at most once a second.
    """

    def __init__(
        self, share: Share | None = None, on_pulse: Callable[[Pulse], None] | None = None
    ) -> None:
        self.share = share or Share()
        self._on_pulse = on_pulse
        self._free = threading.Condition()
        self._busy = 0  # holds a place in the window, may still wait for its slot
        self._in_flight = 0
        self._window = math.inf  # the share's `in_flight` where that is smaller
        self._start = 0.0
        self._cut = 0.0
        self._answered = 0.0
        self._pulsed = time.monotonic()
        self._counts = Counts()

    @property
    def window(self) -> int:
        """Most requests that may be in flight now."""
        return max(1, int(min(self._window, self.share.in_flight)))

    @contextmanager
    def request(self) -> Iterator[None]:
        """Wait for a place in the window and a slot in time, and hold the place."""
        with self._free:
            self._free.wait_for(lambda: self._busy < self.window)
            self._busy += 1
            self._start = self.share.next_start(max(time.time(), self._start))
            start = self._start
        try:
            if (wait := start - time.time()) > 0:
                time.sleep(wait)
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

    def answered(self) -> None:
        """Note that a call came to its end: the window grows."""
        with self._free:
            self._answered = time.monotonic()
            grown = self._window + 1 / self._window
            self._window = grown if grown < self.share.in_flight else math.inf
            self._free.notify()

    def answered_since(self, moment: float) -> bool:
        """Whether any call of this process has come to its end since a `time.monotonic()`."""
        return self._answered >= moment

    def throttled(self, began: float) -> None:
        """Halve the window, for a call that began at a `time.monotonic()`.

        Once for all the calls that were under way together: they tell the same.
        """
        with self._free:
            if began >= self._cut:
                self._cut = time.monotonic()
                self._window = max(1.0, min(self._window, self.share.in_flight) / 2)

    def count(self, counts: Counts) -> None:
        """Add to what has been done."""
        with self._free:
            self._counts.add(counts)

    def pulse(self) -> Pulse:
        """Say how things stand."""
        with self._free:
            counts = replace(self._counts, retries=dict(self._counts.retries))
            return Pulse(counts, self._in_flight, self.window)

    def _report(self) -> None:
        if self._on_pulse is None:
            return
        with self._free:
            now = time.monotonic()
            if now - self._pulsed < PULSE_S:
                return
            self._pulsed = now
        self._on_pulse(self.pulse())
