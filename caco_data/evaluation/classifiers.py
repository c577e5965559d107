"""Classifiers on frozen features: k nearest neighbours, and logistic regression over a grid of C.

Protocol of torchgeo-bench 0.4. The logistic regression of scikit-learn minimises
`(1/n) CE + (1/n) (1/2C) ||W||^2` by L-BFGS, which is the loss of that protocol.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: Neighbours of kNN.
NEIGHBOURS = 5
#: Values of C: number, and exponents of ten of the first and the last one.
C_COUNT, C_START, C_STOP = 40, -6.0, 4.0
#: Iterations at most: while searching for C, and for the final fit.
SWEEP_ITERATIONS, FINAL_ITERATIONS = 2000, 4000
TOLERANCE = 1e-6

Features = NDArray[np.floating]
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Prediction:
    """Predictions for N test cases."""

    labels: NDArray[np.int64]
    """(N,), predicted classes."""
    confidence: NDArray[np.float64]
    """(N,), share of the neighbours, or probability, of the predicted class."""
    best_c: float | None = None
    """C chosen on the validation part; None for kNN."""
    best_lr: float | None = None
    """Learning rate chosen on the validation part; fine-tuning only."""


def nearest_neighbours(
    train: Features, labels: NDArray[np.int64], test: Features, neighbours: int = NEIGHBOURS
) -> Prediction:
    """Classify by a vote of the nearest training cases, in Euclidean distance.

    Parameters
    ----------
    train : ndarray, shape (M, F)
        Features of the training part, as they are.
    labels : ndarray of int64, shape (M,)
        Their classes.
    test : ndarray, shape (N, F)
        Features to classify.
    neighbours : int
        Number k of neighbours, at most M.
    """
    from sklearn.neighbors import KNeighborsClassifier

    model = KNeighborsClassifier(min(neighbours, len(train)), algorithm="brute")
    shares = model.fit(train, labels).predict_proba(test)
    best = shares.argmax(1)
    return Prediction(model.classes_[best], shares.max(1).astype(np.float64))


def _quiet_fit(model: object, x: Features, y: NDArray[np.int64]) -> None:
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        # Part of the protocol: large values of C reach the limit of iterations.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(x, y)  # type: ignore[attr-defined]


def linear(
    train: Features,
    train_labels: NDArray[np.int64],
    val: Features,
    val_labels: NDArray[np.int64],
    test: Features,
    progress: Progress = lambda done, total: None,
) -> Prediction:
    """Multinomial logistic regression; C is chosen on the validation part.

    Parameters
    ----------
    train, val, test : ndarray, shape (M, F), (V, F), (N, F)
        Features, not standardised.
    train_labels, val_labels : ndarray of int64, shape (M,), (V,)
        Classes.
    progress : callable
        Called with the fits done and their number.

    Returns
    -------
    Prediction
        Of the model fitted to the training and validation parts with the best C; the lowest one of
        equally good values.
    """
    from sklearn.linear_model import LogisticRegression

    values = np.logspace(C_START, C_STOP, C_COUNT)
    # The intercept is not penalised, so that centred features give the same predictions; L-BFGS
    # needs a tenth of the iterations for them.
    mean = train.mean(0, dtype=np.float64)
    train, val, test = (x.astype(np.float64) - mean for x in (train, val, test))
    rough = train.astype(np.float32)
    # Neighbouring values of C start from each other's solution: the optimum is unique.
    model = LogisticRegression(max_iter=SWEEP_ITERATIONS, tol=TOLERANCE, warm_start=True)
    scores = []
    for i, c in enumerate(values):
        model.set_params(C=c)
        _quiet_fit(model, rough, train_labels)
        scores.append(np.mean(model.predict(val) == val_labels))
        progress(i + 1, C_COUNT + 1)
    best = float(values[int(np.argmax(scores))])
    final = LogisticRegression(C=best, max_iter=FINAL_ITERATIONS, tol=TOLERANCE)
    _quiet_fit(final, np.concatenate([train, val]), np.concatenate([train_labels, val_labels]))
    progress(C_COUNT + 1, C_COUNT + 1)
    probability = final.predict_proba(test)
    labels = final.classes_[probability.argmax(1)]
    return Prediction(labels, probability.max(1), best_c=best)
