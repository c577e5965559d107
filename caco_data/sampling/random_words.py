"""Counter-based random words: each row and attempt has its own, independent of all others."""

from __future__ import annotations

import numpy as np
from numpy.random import Philox
from numpy.typing import NDArray

#: Maximum gap, in rows, over which words are generated and discarded: faster than skipping it.
SKIP_ROWS = 256

Integers = NDArray[np.int64]


def random_words(seed: int, rows: Integers, attempts: Integers) -> NDArray[np.uint64]:
    """Four random words for each pair of a row and an attempt.

    Parameters
    ----------
    seed : int
        Key of the generator (Philox 4x64; Salmon et al., 2011).
    rows, attempts : ndarray of int64, shape (N,)
        Counter. Row i and attempt a use the block of counter `i + 1 + 2**64 a`, because numpy
        increments the counter before it generates a block.

    Returns
    -------
    ndarray of uint64, shape (N, 4)
    """
    generator = Philox(key=np.array([seed, 0], dtype=np.uint64), counter=0)
    pair = attempts << 40 | rows  # row numbers stay below 2**40
    order = np.argsort(pair, kind="stable")
    pair = pair[order]
    words = np.empty((pair.size, 4), dtype=np.uint64)
    position = 0
    for run in np.split(np.arange(pair.size), np.flatnonzero(np.diff(pair) > SKIP_ROWS) + 1):
        first, last = int(pair[run[0]]), int(pair[run[-1]])
        counter = (first >> 40 << 64) + first % 2**40
        generator.advance(counter - position)
        position = counter + last - first + 1
        block = generator.random_raw(4 * (last - first + 1)).reshape(-1, 4)
        words[order[run]] = block[pair[run] - first]
    return words
