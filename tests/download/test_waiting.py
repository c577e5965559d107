from __future__ import annotations

from collections.abc import Iterator

import pytest

from caco_data.download.cluster.waiting import Waiting
from caco_data.types import Location
from tests.support.plain_source import locations


def test_locations_are_made_when_they_are_taken() -> None:
    made: list[int] = []

    def make() -> Iterator[Location]:
        for location in locations(4):
            made.append(location.location_id)
            yield location

    waiting = Waiting(make())
    assert not made
    assert waiting
    assert made == [0]
    first, lost = waiting.popleft()
    assert (first.location_id, lost) == (0, 0)
    assert waiting.popleft()[0].location_id == 1
    assert made == [0, 1]
    waiting.appendleft((first, 1))
    assert [(waiting.popleft()[0].location_id) for _ in range(3)] == [0, 2, 3]
    assert not waiting
    with pytest.raises(IndexError):
        waiting.popleft()
