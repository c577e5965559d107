"""Locations that wait to be fetched; each is made when it is taken, as there may be a million."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from itertools import islice

from caco_data.types import Location


class Waiting:
    """Queue of locations, each with the number of times that its workers were lost.

    Parameters
    ----------
    locations : iterable of Location
        Locations to fetch; taken one at a time.
    """

    def __init__(self, locations: Iterable[Location]) -> None:
        self._rest = iter(locations)
        self._first: deque[tuple[Location, int]] = deque()

    def __bool__(self) -> bool:
        if not self._first:
            self._first.extend((location, 0) for location in islice(self._rest, 1))
        return bool(self._first)

    def popleft(self) -> tuple[Location, int]:
        """Take the first location; IndexError when there is none."""
        bool(self)
        return self._first.popleft()

    def appendleft(self, item: tuple[Location, int]) -> None:
        """Let a location wait again, before the others."""
        self._first.appendleft(item)
