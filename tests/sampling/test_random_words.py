"""Random words, compared with numpy's generator at each counter."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.random import Philox

from caco_data.sampling.random_words import random_words


@given(
    st.integers(0, 2**64 - 1),
    st.lists(st.tuples(st.integers(0, 3_000), st.integers(0, 50_000)), min_size=1, max_size=30,
             unique=True),
)  # fmt: skip
def test_words_are_those_of_philox_at_the_counter(seed: int, pairs: list[tuple[int, int]]) -> None:
    rows, attempts = (np.array(column) for column in zip(*pairs, strict=True))
    words = random_words(seed, rows, attempts)
    key = np.array([seed, 0], dtype=np.uint64)
    for row, attempt, four in zip(rows, attempts, words, strict=True):
        counter = np.array([row, attempt, 0, 0], dtype=np.uint64)
        np.testing.assert_array_equal(four, Philox(key=key, counter=counter).random_raw(4))
