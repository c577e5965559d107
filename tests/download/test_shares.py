"""Shares of workers in the caps on requests while workers join and leave."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from caco_data.download.cluster.shares import GRACE_S, Command, Shares, rate_share, tasks_ahead
from caco_data.sources.limiter import RateShare

CONCURRENCY, PER_SECOND = 40, 100.0


@dataclass
class Worker:
    """A worker as the limits see it."""

    share: RateShare | None = None
    """None until the worker has been told its share: it sends nothing."""
    lost_s: float | None = field(default=None)


class Cluster(RuleBasedStateMachine):
    """Workers join and leave in any order; the commands are carried out one after another."""

    def __init__(self) -> None:
        super().__init__()
        self.shares = Shares()
        self.workers: dict[str, Worker] = {}
        self.now = 0.0
        self.queue: list[Command] = []
        self.number = 0

    @rule(n=st.integers(1, 3))
    def join(self, n: int) -> None:
        new = [f"w{self.number + i}" for i in range(n)]
        self.number += n
        self.workers |= {address: Worker() for address in new}
        self.shares.join(new)

    @rule(data=st.data())
    @precondition(lambda self: self.shares.members)
    def lose(self, data: st.DataObject) -> None:
        address = data.draw(st.sampled_from(self.shares.members))
        self.workers[address].lost_s = self.now
        self.shares.lose(address, self.now)

    @rule(seconds=st.floats(0, 2 * GRACE_S))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    @precondition(lambda self: not self.queue)
    def command(self) -> None:
        command = self.shares.next(self.now)
        self.queue += [command] if command else []

    @rule()
    @precondition(lambda self: self.queue)
    def carry_out(self) -> None:
        recipients, sharing = self.queue.pop(0)
        for address in recipients:
            share = rate_share(sharing, address, CONCURRENCY, PER_SECOND)
            if self.workers[address].lost_s is None:
                self.workers[address].share = share

    @invariant()
    def the_caps_hold(self) -> None:
        sending = [
            worker.share
            for worker in self.workers.values()
            # A lost worker may send requests for a while.
            if worker.share and (worker.lost_s is None or self.now < worker.lost_s + GRACE_S)
        ]
        assert sum(Fraction(1, share.of) for share in sending) <= 1
        if len(sending) <= CONCURRENCY:
            assert sum(share.in_flight for share in sending) <= CONCURRENCY


TestShares = Cluster.TestCase


def commands(shares: Shares, now: float) -> list[Command]:
    return list(iter(lambda: shares.next(now), None))


def test_the_shares_of_lost_workers_are_used_by_the_others_after_a_while() -> None:
    shares = Shares()
    shares.join(["a", "b"])
    assert commands(shares, 0.0) == [(("a", "b"), ("a", "b"))]
    shares.join(["c"])
    assert commands(shares, 1.0) == [
        (("a", "b"), ("a", "b", "c")),
        (("c",), ("a", "b", "c")),
    ]
    shares.lose("a", 10.0)
    shares.join(["d"])
    assert commands(shares, 10.0 + GRACE_S / 2) == []
    assert commands(shares, 10.0 + GRACE_S) == [
        (("b", "c"), ("b", "c", "d")),
        (("d",), ("b", "c", "d")),
    ]
    shares.lose("b", 20.0)
    assert commands(shares, 20.0 + GRACE_S) == [(("c", "d"), ("c", "d"))]
    assert shares.members == ("c", "d")
    assert rate_share(("b", "c"), "c", 5, 3.0) == RateShare(2, 3.0, 1, 2)


def test_more_tasks_than_requests_are_submitted() -> None:
    assert tasks_ahead(40, 2) == 60
    assert tasks_ahead(2, 8) == 2
