"""Shares of the workers in the caps on requests, while workers join and leave."""

from __future__ import annotations

from dataclasses import dataclass, field

from caco_data.sources.limiter import RateShare

#: Seconds after the loss of a worker during which the others do not use its share: it may only have
#: lost its connection to the scheduler, and still be sending requests.
GRACE_S = 3.0

#: Addresses that are told to share the caps, and addresses among which the caps are shared.
Command = tuple[tuple[str, ...], tuple[str, ...]]


@dataclass
class Shares:
    """Decides which workers are told to share the caps with which others, and in which order.

    The shares of the present workers shrink before another worker gets one, and nobody gets a
    larger one while a lost worker may still be sending requests: the sum never exceeds the caps.
    """

    members: tuple[str, ...] = ()
    """Addresses of the workers that have a share, sorted."""
    _new: tuple[str, ...] = ()
    """Addresses of the workers that wait for a share."""
    _told: tuple[str, ...] = ()
    """Addresses among which the members share the caps."""
    _lost: dict[str, float] = field(default_factory=dict)
    """Time of the loss of the workers that may still be sending requests, in seconds."""

    @property
    def known(self) -> set[str]:
        """Addresses of the workers that have a share or wait for one."""
        return {*self.members, *self._new}

    def join(self, addresses: list[str]) -> None:
        """Add workers, which get a share with one of the next commands."""
        self._new = tuple(sorted({*self._new, *addresses}))

    def lose(self, address: str, now_s: float) -> None:
        """Remove a worker."""
        self.members = tuple(a for a in self.members if a != address)
        self._lost[address] = now_s

    def next(self, now_s: float) -> Command | None:
        """Next command; to be called again once its recipients have confirmed it or are lost."""
        self._lost = {a: at for a, at in self._lost.items() if now_s - at < GRACE_S}
        if self._lost:
            return None
        everyone = tuple(sorted({*self.members, *self._new}))
        if self.members and self._told != everyone:
            self._told = everyone
            return self.members, everyone
        if self._new:
            new, self._new = self._new, ()
            self.members = self._told = everyone
            return new, everyone
        return None


def rate_share(
    sharing: tuple[str, ...], address: str, concurrency: int, per_second: float | None
) -> RateShare:
    """Share of one of several workers in the caps.

    Parameters
    ----------
    sharing : tuple of str
        Addresses of the workers, sorted.
    address : str
        One of them.
    concurrency : int
        Maximum requests in flight over all workers; each may have at least one.
    per_second : float, optional
        Maximum requests started per second over all workers.
    """
    n, place = len(sharing), sharing.index(address)
    in_flight = concurrency // n + (place < concurrency % n)
    return RateShare(max(1, in_flight), per_second, place, n)


def tasks_ahead(concurrency: int, workers: int) -> int:
    """Number of tasks submitted at a time.

    One and a half times the maximum number of requests in flight, which is reached although some
    tasks decode and encode. With more workers than requests, the share of each worker is one
    request, and the number of tasks is the limit.
    """
    return concurrency if workers >= concurrency else concurrency + -(-concurrency // 2)
