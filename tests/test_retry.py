from __future__ import annotations

import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caco_data.errors import PermanentError, TransientError
from caco_data.retry import Pacer, RetryPolicy, call_with_retries


@given(st.integers(0, 30), st.floats(0, 1), st.none() | st.floats(0, 300))
def test_sleep_is_jittered_bounded_and_honours_retry_after(
    retry: int, jitter: float, after: float | None
) -> None:
    policy = RetryPolicy(base_s=0.5, longest_s=60)
    sleep = policy.sleep_s(retry, after, jitter)
    assert sleep >= (after or 0)
    assert sleep <= max(min(60, 0.5 * 2**retry), after or 0)


def test_transient_failures_are_tried_again_and_counted() -> None:
    seen: list[TransientError] = []
    failures = [TransientError("503"), TransientError("429")]

    def call() -> int:
        if failures:
            raise failures.pop()
        return 7

    assert call_with_retries(call, RetryPolicy(base_s=0), Pacer(None), seen.append) == 7
    assert [error.what for error in seen] == ["429", "503"]


def test_retries_end_and_permanent_errors_are_not_retried() -> None:
    calls = []

    def fail(error: Exception) -> None:
        calls.append(error)
        raise error

    policy = RetryPolicy(max_retries=3, base_s=0)
    with pytest.raises(TransientError):
        call_with_retries(lambda: fail(TransientError("x")), policy, Pacer(None), lambda e: None)
    assert len(calls) == 4
    with pytest.raises(PermanentError):
        call_with_retries(lambda: fail(PermanentError("x")), policy, Pacer(None), lambda e: None)
    assert len(calls) == 5


def test_pacer_spaces_the_starts_of_all_threads() -> None:
    pacer = Pacer(200)
    starts: list[float] = []

    def work() -> None:
        for _ in range(5):
            pacer.wait()
            starts.append(time.monotonic())

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(starts) - min(starts) >= 19 / 200 * 0.99
