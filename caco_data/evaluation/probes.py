"""Evaluation of features: change ratio, and linear probe of land cover."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def change_ratio(features: NDArray[np.floating]) -> NDArray[np.float64]:
    """Distance between the periods divided by the distance within them (paper, equation 3).

    Parameters
    ----------
    features : ndarray, shape (L, 2, T, F)
        Features of T early and T late tiles of each location; tiles of equal t are from the same
        season.

    Returns
    -------
    ndarray of float64, shape (L,)
        Mean distance between the periods over all t, divided by the mean distance over all pairs of
        different tiles of a period. With one tile per period, the distance between the periods.
    """
    unit = features / np.linalg.norm(features, axis=3, keepdims=True)
    long = np.linalg.norm(unit[:, 0] - unit[:, 1], axis=2).mean(axis=1)
    if features.shape[2] == 1:
        ratio: NDArray[np.float64] = long.astype(np.float64)
        return ratio
    a, b = np.triu_indices(features.shape[2], k=1)
    short = np.linalg.norm(unit[:, :, a] - unit[:, :, b], axis=3).mean(axis=(1, 2))
    ratio = long.astype(np.float64) / np.maximum(short, 1e-12)
    return ratio


def linear_probe(
    features: NDArray[np.floating],
    labels: NDArray[np.str_],
    groups: NDArray[np.int64],
    folds: int = 5,
) -> float:
    """Cross-validated accuracy of a linear classifier on frozen features.

    Parameters
    ----------
    features : ndarray, shape (N, F)
        Features; standardised in this function.
    labels : ndarray of str, shape (N,)
        Classes.
    groups : ndarray of int64, shape (N,)
        Locations; all tiles of a location are in the same fold.
    folds : int
        Number of folds, with each class distributed evenly over them.

    Returns
    -------
    float
        Fraction of correctly classified tiles.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold, cross_val_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000))
    split = StratifiedGroupKFold(folds, shuffle=True, random_state=0)
    scores = cross_val_score(model, features, labels, groups=groups, cv=split)
    return float(np.mean(scores))
