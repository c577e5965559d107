"""One retry policy and one pace for every request of a source."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from caco_data.errors import TransientError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Exponential backoff with full jitter; a service's Retry-After is honoured."""

    max_retries: int = 8
    """Tries after the first."""
    base_s: float = 0.5
    """Upper bound of the first sleep, seconds; it doubles with every retry."""
    longest_s: float = 60.0
    """Upper bound of any drawn sleep, seconds."""

    def sleep_s(self, retry: int, retry_after_s: float | None, jitter: float) -> float:
        """Seconds before retry number `retry` (0, 1, ...), `jitter` uniform in 0..1.

        Full jitter spreads the retries of many clients over the whole interval, so that they do
        not come back together.
        """
        drawn = jitter * min(self.longest_s, self.base_s * 2.0**retry)
        return max(drawn, retry_after_s or 0.0)


class Pacer:
    """Spaces the starts of requests evenly, for the threads of one process."""

    def __init__(self, per_second: float | None) -> None:
        self._gap_s = 1.0 / per_second if per_second else 0.0
        self._next = 0.0
        self._lock = threading.Lock()

    def wait(self) -> None:
        """Sleep until the next request may start."""
        if not self._gap_s:
            return
        with self._lock:
            start = max(time.monotonic(), self._next)
            self._next = start + self._gap_s
        time.sleep(max(0.0, start - time.monotonic()))


def call_with_retries(
    call: Callable[[], T],
    policy: RetryPolicy,
    pacer: Pacer,
    on_retry: Callable[[TransientError], None],
) -> T:
    """Make a request, again and again while its failure is transient.

    Raises
    ------
    TransientError
        The last one, when the retries are used up.
    Exception
        Whatever else `call` raises, at once.
    """
    for retry in range(policy.max_retries + 1):
        pacer.wait()
        try:
            return call()
        except TransientError as error:
            if retry == policy.max_retries:
                raise
            on_retry(error)
            time.sleep(policy.sleep_s(retry, error.retry_after_s, random.random()))
    raise AssertionError("max_retries is negative")
