"""Distinction between a permanent failure of one request and one of all requests.

A scene that cannot be read counts as unreadable only if the service can still read another one.
Otherwise a service that refuses everything would reject location after location.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from caco_data.errors import PermanentError, RefusedError, TransientError
from caco_data.sources.retry import UNCERTAIN_RETRIES

T = TypeVar("T")

#: Consecutive failed requests after which the service is considered to refuse all requests.
MAX_FAILURES = 20


class Breaker:
    """Confirms permanent failures of one kind of request, in all threads of a process.

    Parameters
    ----------
    known_good : callable, optional
        Repeats a request that has succeeded. Without one, and before the first success, the failed
        request itself is repeated.
    """

    def __init__(self, known_good: Callable[[], object] | None = None) -> None:
        self._known_good = known_good
        self._lock = threading.Lock()
        self._failures = 0
        self._succeeded_at = float("-inf")

    def call(self, request: Callable[[], T]) -> T:
        """Make a request.

        Raises
        ------
        PermanentError
            When it fails again after a known good request has succeeded.
        RefusedError
            After `MAX_FAILURES` consecutive failed requests, with the service's message.
        Exception
            Any other error of `request`.
        """
        try:
            result = request()
        except PermanentError as error:
            self._confirm(error, request, time.monotonic())
            result = request()  # again: the service may have refused all requests for a moment
        self._succeeded(request)
        return result

    def _succeeded(self, request: Callable[[], object]) -> None:
        self._known_good = request
        self._failures = 0
        self._succeeded_at = time.monotonic()

    def _confirm(
        self, error: PermanentError, request: Callable[[], object], failed_at: float
    ) -> None:
        """Repeat the known good request until it, or any other one meanwhile, succeeds."""
        with self._lock:
            while self._succeeded_at < failed_at:
                # An uncertain failure has been repeated before.
                self._failures += 1 + UNCERTAIN_RETRIES * isinstance(
                    error.__cause__, TransientError
                )
                if self._failures >= MAX_FAILURES:
                    raise refusal(error) from error
                known_good = self._known_good or request
                try:
                    known_good()
                except PermanentError as again:
                    error = again
                else:
                    self._succeeded(known_good)


def refusal(error: PermanentError) -> RefusedError:
    """Return the error that ends the run, with the service's message."""
    return RefusedError(
        f"The service refuses all requests: {error.what}",
        error.where,
        error.remedy
        or "Run 'caco-data doctor', or the same command again later; finished locations are kept",
    )
