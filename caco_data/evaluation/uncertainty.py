"""Bootstrap intervals of metrics."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

#: A metric of the cases at some positions, which may repeat.
Metric = Callable[[NDArray[np.int64]], float]
LEVEL = 0.95


def resampled(metric: Metric, cases: int, resamples: int, seed: int) -> NDArray[np.float64]:
    """Values of a metric on bootstrap resamples.

    Parameters
    ----------
    metric : callable
        Maps positions (N,) of cases to a value.
    cases : int
        Number N of cases.
    resamples : int
        Number B of resamples, each of N cases drawn with replacement.
    seed : int
        Random seed; metrics of the same cases and seed are resampled alike, so that their
        differences are paired.

    Returns
    -------
    ndarray of float64, shape (B,)
    """
    rng = np.random.default_rng(seed)
    return np.array([metric(rng.integers(0, cases, cases)) for _ in range(resamples)])


def interval(values: NDArray[np.float64]) -> tuple[float, float]:
    """Central 95 % interval of resampled values; NaN are left out."""
    known = values[np.isfinite(values)]
    if not len(known):
        return float("nan"), float("nan")
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(known, [tail, 1 - tail])
    return float(low), float(high)
