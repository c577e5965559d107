from __future__ import annotations

import threading
import time
from collections.abc import Callable
from itertools import pairwise
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caco_data.sources.limiter import Limiter, RateShare
from caco_data.sources.tally import Counts, WorkerStatus


@given(st.integers(1, 8), st.floats(0.5, 1000), st.floats(1.7e9, 1.9e9))
def test_the_slots_of_all_processes_are_evenly_spaced(of: int, rate: float, now: float) -> None:
    starts = []
    for place in range(of):
        share = RateShare(per_second=rate, place=place, of=of)
        moment = now
        for _ in range(3):
            after, moment = moment, share.next_start(moment)
            assert after < moment <= after + 1.05 * of / rate
            starts.append(moment)
    starts.sort()
    gaps = [b - a for a, b in pairwise(starts)]
    assert min(gaps, default=1 / rate) >= 1 / rate  # below the limit, by the margin


def in_threads(n: int, work: Callable[[], None]) -> None:
    threads = [threading.Thread(target=work) for _ in range(n)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_requests_in_flight_are_capped() -> None:
    limiter = Limiter(RateShare(in_flight=3))
    lock = threading.Lock()
    together = threading.Barrier(3)
    now, seen = 0, 0

    def work() -> None:
        nonlocal now, seen
        for _ in range(5):
            with limiter.request():
                with lock:
                    now += 1
                    seen = max(seen, now)
                together.wait(60)
                with lock:
                    now -= 1

    in_threads(6, work)
    assert seen == 3
    assert limiter.status() == WorkerStatus(Counts(requests=30), 0, 3)


class Clock:
    """A clock that advances only while the limiter waits for a slot."""

    def __init__(self, limiter: Limiter, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        self.on_wait: Callable[[], object] = lambda: None
        clock = SimpleNamespace(monotonic=lambda: self.now)
        monkeypatch.setattr("caco_data.sources.limiter.time", clock)
        monkeypatch.setattr(limiter._shared, "wait", self._wait)

    def _wait(self, seconds: float) -> None:
        self.now += max(0.0, seconds)
        self.on_wait()


def test_the_rate_of_requests_is_capped(monkeypatch: pytest.MonkeyPatch) -> None:
    limiter = Limiter(RateShare(per_second=100))
    clock = Clock(limiter, monkeypatch)
    starts = []
    for _ in range(30):
        with limiter.request():
            starts.append(clock.now)
    assert min(b - a for a, b in pairwise(starts)) >= 1 / 100


def test_a_request_that_waits_for_its_slot_follows_a_change_of_the_share(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    limiter = Limiter(RateShare(per_second=1, place=0, of=1))
    clock = Clock(limiter, monkeypatch)
    with limiter.request():
        pass
    second = RateShare(per_second=1, place=1, of=4)
    clock.on_wait = lambda: setattr(limiter, "share", second) if limiter.share != second else None
    with limiter.request():
        at = limiter._start
    assert round(at * 0.97) % 4 == second.place


def test_the_window_halves_once_per_window_of_requests_and_recovers() -> None:
    limiter = Limiter(RateShare(in_flight=40))
    assert limiter.window == 40
    began = time.monotonic()
    for _ in range(20):
        limiter.throttled(began)  # requests of one window report the same throttling
    assert limiter.window == 20
    for _ in range(9):
        limiter.throttled(time.monotonic())
    assert limiter.window == 1
    answers = 0
    while limiter.window < 40:
        limiter.answered()
        answers += 1
    # The window grows by one per window of answers.
    assert 40 * 41 / 2 * 0.8 < answers < 40 * 41 / 2
    for _ in range(100):
        limiter.answered()
    assert limiter.window == 40


def test_a_restricted_service_gets_fewer_requests_in_flight() -> None:
    limiter = Limiter(RateShare(in_flight=40))
    limiter.restrict()
    assert limiter.window == 10
    assert limiter.status().restricted
    limiter.share = RateShare(in_flight=2)
    assert limiter.window == 1


def test_a_smaller_share_applies_immediately() -> None:
    limiter = Limiter(RateShare(in_flight=40))
    limiter.share = RateShare(in_flight=2)
    assert limiter.window == 2
    limiter.throttled(time.monotonic())
    assert limiter.window == 1


def test_a_failed_request_frees_its_slot() -> None:
    limiter = Limiter(RateShare(in_flight=1))
    for _ in range(2):
        try:
            with limiter.request():
                raise ValueError
        except ValueError:
            pass
    assert limiter.status().counts.requests == 2


def test_the_status_is_reported_at_most_once_per_second(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    clock = SimpleNamespace(sleep=time.sleep, monotonic=lambda: now)
    monkeypatch.setattr("caco_data.sources.limiter.time", clock)
    statuses: list[WorkerStatus] = []
    limiter = Limiter(RateShare(in_flight=4), statuses.append)
    limiter.count(Counts(nbytes=10, retries={"503": 1}))
    now += 2
    for _ in range(2):
        with limiter.request():
            pass
    assert statuses == [WorkerStatus(Counts(requests=1, nbytes=10, retries={"503": 1}), 0, 4)]
    assert limiter.status().counts.requests == 2
