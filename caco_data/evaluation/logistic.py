"""Multinomial logistic regression on features whose variance differs strongly between directions.

L-BFGS needs thousands of iterations on features of a network as they are. Here it works in
coordinates in which the loss is about equally curved in all directions: the principal axes of the
features, each divided by the square root of its curvature. The minimum is the same.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
#: Mean of p (1 - p) over cases and ten classes with uniform probabilities.
_CURVATURE = 0.1
#: Directions with a smaller share of the largest singular value are constant but for rounding.
_NEGLIGIBLE = 1e-10


class Axes(NamedTuple):
    """Centred features in their principal axes."""

    scores: Array
    """(N, R), coordinates of the cases."""
    lengths: Array
    """(R,), singular values."""
    directions: Array
    """(R, F), unit vectors."""


class Model(NamedTuple):
    """Weights of the classes."""

    weights: Array
    """(R, K), in the principal axes of the training cases."""
    offsets: Array
    """(K,)."""


def principal_axes(features: Array) -> Axes:
    """Principal axes of centred features (N, F)."""
    left, lengths, directions = np.linalg.svd(features, full_matrices=False)
    kept = lengths > _NEGLIGIBLE * lengths[0]
    return Axes(left[:, kept] * lengths[kept], lengths[kept], directions[kept])


def fit_logistic(
    axes: Axes,
    labels: NDArray[np.int64],
    c: float,
    iterations: int,
    tolerance: float,
    start: Model | None = None,
) -> Model:
    """Minimise (1/n) CE + (1/n) (1/2C) ||W||^2.

    Parameters
    ----------
    axes : Axes
        Features of N training cases.
    labels : ndarray of int64, shape (N,)
        Classes 0..K-1.
    c : float
        Inverse weight of the penalty.
    iterations : int
        Iterations at most.
    tolerance : float
        Largest component of the gradient at the end, in the scaled coordinates.
    start : Model, optional
        Where to start; zero if None.
    """
    from scipy.optimize import minimize
    from threadpoolctl import threadpool_limits

    count, rank = axes.scores.shape
    classes = int(labels.max()) + 1
    scale = 1 / np.sqrt(_CURVATURE * axes.lengths**2 / count + 1 / (count * c))[:, None]
    scaled = axes.scores * scale.T
    penalty = scale**2 / (count * c)
    truth = np.eye(classes)[labels]

    def loss(flat: Array) -> tuple[float, Array]:
        w = flat.reshape(rank + 1, classes)
        logits = scaled @ w[:-1] + w[-1]
        log_p = log_softmax(logits)
        error = (np.exp(log_p) - truth) / count
        value = -(truth * log_p).sum() / count + 0.5 * (penalty * w[:-1] ** 2).sum()
        gradient = np.vstack([scaled.T @ error + penalty * w[:-1], error.sum(0)])
        return float(value), gradient.ravel()

    first = np.zeros((rank + 1, classes))
    if start is not None:
        first = np.vstack([start.weights / scale, start.offsets])
    options = {"maxiter": iterations, "maxfun": 2 * iterations, "gtol": tolerance, "ftol": 0.0}
    # The products are so small that several threads mostly wait for each other.
    with threadpool_limits(1, "blas"):
        found = minimize(loss, first.ravel(), jac=True, method="L-BFGS-B", options=options)
    w = found.x.reshape(rank + 1, classes)
    return Model(w[:-1] * scale, w[-1])


def logits_of(model: Model, axes: Axes, features: Array) -> Array:
    """Logits (N, K) of features (N, F) that are centred as the training cases."""
    found: Array = features @ axes.directions.T @ model.weights + model.offsets
    return found


def log_softmax(logits: Array) -> Array:
    """Logarithms of the probabilities, (N, K)."""
    moved = logits - logits.max(1, keepdims=True)
    found: Array = moved - np.log(np.exp(moved).sum(1, keepdims=True))
    return found
