"""Classifiers on frozen features: k nearest neighbours, and logistic regression over a grid of C.

Protocol of torchgeo-bench 0.4: `(1/n) CE + (1/n) (1/2C) ||W||^2` is minimised by L-BFGS.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from caco_data.evaluation.logistic import fit_logistic, log_softmax, logits_of, principal_axes

#: Neighbours of kNN.
NEIGHBOURS = 5
#: Values of C: number, and exponents of ten of the first and the last one.
C_COUNT, C_START, C_STOP = 40, -6.0, 4.0
#: Iterations at most: while searching for C, and for the final fit.
SWEEP_ITERATIONS, FINAL_ITERATIONS = 2000, 4000
TOLERANCE = 1e-6
#: While searching for C: the accuracy does not depend on the last digits of the weights.
SWEEP_TOLERANCE = 3e-5

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
    classes, numbers = np.unique(train_labels, return_inverse=True)
    # The intercept is not penalised, so that centred features give the same predictions.
    mean = train.mean(0, dtype=np.float64)
    x, x_val, x_test = (one.astype(np.float64) - mean for one in (train, val, test))
    axes = principal_axes(x)
    values = np.logspace(C_START, C_STOP, C_COUNT)
    scores = []
    model = None
    for i, c in enumerate(values):
        # Neighbouring values of C start from each other's solution: the optimum is unique.
        model = fit_logistic(axes, numbers, c, SWEEP_ITERATIONS, SWEEP_TOLERANCE, model)
        predicted = classes[logits_of(model, axes, x_val).argmax(1)]
        scores.append(np.mean(predicted == val_labels))
        progress(i + 1, C_COUNT + 1)
    best = float(values[int(np.argmax(scores))])
    classes, numbers = np.unique(np.concatenate([train_labels, val_labels]), return_inverse=True)
    both = np.concatenate([x, x_val])
    mean = both.mean(0)
    axes = principal_axes(both - mean)
    final = fit_logistic(axes, numbers, best, FINAL_ITERATIONS, TOLERANCE)
    progress(C_COUNT + 1, C_COUNT + 1)
    log_p = log_softmax(logits_of(final, axes, x_test - mean))
    labels = classes[log_p.argmax(1)].astype(np.int64)
    return Prediction(labels, np.exp(log_p.max(1)), best_c=best)
