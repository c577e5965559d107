"""Retry policy of all requests of all sources."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from caco_data.errors import RefusedError, TransientError
from caco_data.settings_fields import setting
from caco_data.sources.limiter import Limiter
from caco_data.sources.tally import Counts

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Exponential backoff with full jitter, at least the Retry-After of the service."""

    max_retries: int = setting(
        8, "Retries of a request after transient failures.", minimum=0, maximum=100
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
        sleep = jitter * min(self.max_sleep_s, self.base_s * 2.0**retry)
        return max(sleep, retry_after_s or 0.0)


def call_with_retries(call: Callable[[], T], policy: RetryPolicy, limiter: Limiter) -> T:
    """Make a call; repeat it while it fails with a transient error.

    Raises
    ------
    TransientError
        The last error, when the retries are used up and other calls succeeded meanwhile.
    RefusedError
        When the retries are used up and no call of this process succeeded meanwhile: the failure
        is not specific to this call.
    Exception
        Any other error of `call`, without a retry.
    """
    first = time.monotonic()
    for retry in range(policy.max_retries + 1):
        began = time.monotonic()
        try:
            result = call()
        except TransientError as error:
            if error.throttled:
                limiter.throttled(began)
            if retry == policy.max_retries:
                if limiter.answered_since(first):
                    raise
                raise RefusedError(
                    f"The service does not answer: {retry + 1} attempts in "
                    f"{time.monotonic() - first:.0f} s failed, the last with {error}",
                    "",
                    "Run the same command again later; finished locations are kept",
                ) from error
            limiter.count(Counts(retries={error.what: 1}))
            time.sleep(policy.sleep_s(retry, error.retry_after_s, random.random()))
        else:
            limiter.answered()
            return result
    raise AssertionError("max_retries is negative")
