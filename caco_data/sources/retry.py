"""Retry policy of all requests of all sources."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from caco_data.errors import PermanentError, TransientError
from caco_data.settings_fields import setting
from caco_data.sources.limiter import Limiter

T = TypeVar("T")


#: Retries of a failure that may be permanent (`TransientError.uncertain`).
UNCERTAIN_RETRIES = 3


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Exponential backoff with full jitter, at least the Retry-After of the service."""

    max_retries: int = setting(
        8,
        "Retries of a failing request while other requests succeed; then its location stays "
        "pending.",
        minimum=0,
        maximum=100,
    )
    max_outage_s: float = setting(
        600.0,
        "Time without any successful request after which the run stops: seconds, or with a unit "
        "(90s, 10m, 12h).",
        option="max-outage",
        minimum=0,
        duration=True,
        shown_default="10m",
    )
    base_s: float = 0.5
    """Upper bound of the first sleep, seconds; it doubles with every retry."""
    max_sleep_s: float = 60.0
    """Upper bound of a random sleep, seconds; a longer Retry-After is honoured."""

    def sleep_s(self, retry: int, retry_after_s: float | None, jitter: float) -> float:
        """Seconds before retry number `retry` (0, 1, ...); `jitter` is uniform in 0..1.

        Full jitter spreads the retries of many clients over the whole interval, so that they do
        not arrive together.
        """
        sleep = jitter * min(self.max_sleep_s, self.base_s * 2.0 ** min(retry, 30))
        return max(sleep, retry_after_s or 0.0)


def call_with_retries(
    call: Callable[[], T],
    policy: RetryPolicy,
    limiter: Limiter,
    known_good: Callable[[], object] | None = None,
) -> T:
    """Make a call; repeat it while it fails with a transient error.

    Parameters
    ----------
    call : callable
        Sends a request.
    policy : RetryPolicy
        Number of retries, pauses.
    limiter : Limiter
        Counts failures and answers.
    known_good : callable, optional
        Sends a request that has succeeded before. It is sent when the retries are used up, to
        distinguish a failing request from a service that does not answer at all.

    Raises
    ------
    TransientError
        The last error, when the retries are used up although other calls of this process succeed,
        when no call has succeeded for `policy.max_outage_s`, or when the run ends.
    PermanentError
        When an uncertain error was repeated `UNCERTAIN_RETRIES` times.
    Exception
        Any other error of `call`, without a retry.
    """
    first = failed_at = time.monotonic()
    # Throttled attempts do not count, they only wait; neither do failures during an outage.
    uncertain = attempts = failures = 0
    for retry in itertools.count():
        began = time.monotonic()
        try:
            result = call()
        except TransientError as error:
            others_succeed = limiter.answered_since(failed_at)
            failed_at = time.monotonic()
            if error.throttled:
                limiter.throttled(began)
            else:
                attempts += 1
                failures += others_succeed
            limiter.failed(error)
            uncertain += error.uncertain
            if uncertain > UNCERTAIN_RETRIES:
                raise PermanentError(error.what, error.where, error.remedy) from error
            used_up = failures > policy.max_retries or (
                attempts > policy.max_retries
                and not others_succeed
                and _succeeds(known_good, limiter)
            )
            silent_s = failed_at - max(first, limiter.answered_at)
            if used_up or silent_s > policy.max_outage_s:
                raise
            sleep_s = policy.sleep_s(retry, error.retry_after_s, random.random())
            if limiter.stopped.wait(min(sleep_s, max(0.0, policy.max_outage_s - silent_s))):
                raise
        else:
            limiter.answered()
            return result
    raise AssertionError("unreachable")


def _succeeds(known_good: Callable[[], object] | None, limiter: Limiter) -> bool:
    """Whether a request that has succeeded before still does."""
    if known_good is None:
        return False
    try:
        known_good()
    except (TransientError, PermanentError):
        return False
    limiter.answered()
    return True
