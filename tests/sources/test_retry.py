from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caco_data.errors import PermanentError, TransientError
from caco_data.sources.limiter import Limiter, RateShare
from caco_data.sources.retry import UNCERTAIN_RETRIES, RetryPolicy, call_with_retries


@given(st.integers(0, 30), st.floats(0, 1), st.none() | st.floats(0, 300))
def test_sleep_is_bounded_and_at_least_retry_after(
    retry: int, jitter: float, after: float | None
) -> None:
    policy = RetryPolicy(base_s=0.5, max_sleep_s=60)
    sleep = policy.sleep_s(retry, after, jitter)
    assert sleep >= (after or 0)
    assert sleep <= max(min(60, 0.5 * 2**retry), after or 0)


def test_transient_failures_are_tried_again_and_counted() -> None:
    failures = [TransientError("503"), TransientError("429", throttled=True)]

    def call() -> int:
        if failures:
            raise failures.pop()
        return 7

    limiter = Limiter(RateShare(in_flight=8))
    assert call_with_retries(call, RetryPolicy(base_s=0), limiter) == 7
    assert limiter.status().counts.retries == {"429": 1, "503": 1}
    assert limiter.window == 4


def test_retries_end_and_permanent_errors_are_not_retried() -> None:
    calls = []
    limiter = Limiter()

    def fail(error: Exception) -> None:
        calls.append(error)
        limiter.answered()
        raise error

    policy = RetryPolicy(max_retries=3, base_s=0)
    with pytest.raises(TransientError):
        call_with_retries(lambda: fail(TransientError("x")), policy, limiter)
    assert len(calls) == 4
    with pytest.raises(PermanentError):
        call_with_retries(lambda: fail(PermanentError("x")), policy, limiter)
    assert len(calls) == 5


def test_without_any_answer_a_call_is_repeated_until_the_outage_is_too_long() -> None:
    limiter = Limiter()
    failures = [TransientError("503", "overloaded")] * 20

    def call() -> int:
        if failures:
            raise failures.pop()
        return 7

    policy = RetryPolicy(max_retries=2, base_s=0)
    assert call_with_retries(call, policy, limiter) == 7
    assert limiter.status().last_failure == "503 (overloaded)."

    def fail() -> None:
        raise TransientError("429", "quota", throttled=True)

    with pytest.raises(TransientError, match=r"429 \(quota\)"):
        call_with_retries(fail, RetryPolicy(max_outage_s=0.05, base_s=0.01), Limiter())


def test_throttled_requests_wait_for_their_turn() -> None:
    limiter = Limiter()
    failures = [TransientError("429", throttled=True)] * 20

    def call() -> int:
        limiter.answered()  # as another thread's call would
        if failures:
            raise failures.pop()
        return 7

    assert call_with_retries(call, RetryPolicy(max_retries=2, base_s=0), limiter) == 7


def test_an_unknown_refusal_is_repeated_a_few_times_and_then_permanent() -> None:
    calls = []

    def fail() -> None:
        calls.append(1)
        raise TransientError("Strange words", "HTTP 400", uncertain=True)

    with pytest.raises(PermanentError, match=r"Strange words \(HTTP 400\)"):
        call_with_retries(fail, RetryPolicy(base_s=0), Limiter())
    assert len(calls) == 1 + UNCERTAIN_RETRIES


def test_the_end_of_the_run_ends_the_wait_for_a_retry() -> None:
    limiter = Limiter()
    limiter.stopped.set()

    def fail() -> None:
        raise TransientError("503", retry_after_s=3600)

    with pytest.raises(TransientError):
        call_with_retries(fail, RetryPolicy(), limiter)


def test_a_request_that_succeeded_before_tells_a_failing_request_from_an_outage() -> None:
    limiter = Limiter()
    calls, checks = [], []

    def fail() -> None:
        calls.append(1)
        raise TransientError("503")

    def known_good() -> None:
        checks.append(1)
        if len(checks) < 4:
            raise TransientError("503")

    with pytest.raises(TransientError):
        call_with_retries(fail, RetryPolicy(max_retries=2, base_s=0), limiter, known_good)
    assert len(calls) == 3 + 3
    assert limiter.status().counts.answers == 1
