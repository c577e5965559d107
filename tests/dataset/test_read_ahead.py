from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caco_data.dataset.read_ahead import read_ahead


@given(
    items=st.lists(st.integers(), max_size=40), threads=st.integers(0, 4), ahead=st.integers(1, 10)
)
def test_results_come_in_order_and_a_bounded_number_is_read_ahead(
    items: list[int], threads: int, ahead: int
) -> None:
    taken = 0

    def count() -> Iterator[int]:
        nonlocal taken
        for item in items:
            taken += 1
            yield item

    results = []
    for result in read_ahead(lambda x: 2 * x, count(), threads, ahead):
        results.append(result)
        assert taken - len(results) <= ahead
    assert results == [2 * item for item in items]


def test_the_first_error_is_raised_and_the_rest_is_not_read() -> None:
    read: list[int] = []
    lock = threading.Lock()

    def fail_at_3(item: int) -> int:
        with lock:
            read.append(item)
        return 1 // (item - 3)

    with pytest.raises(ZeroDivisionError):
        list(read_ahead(fail_at_3, range(1000), 2, 4))
    assert max(read) <= 3 + 4
