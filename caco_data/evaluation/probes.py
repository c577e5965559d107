"""What features are worth: whether they tell changes, and land cover."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def change_ratio(features: NDArray[np.floating]) -> NDArray[np.float64]:
    """Distance between the periods over the distance within them (paper, equation 3).

    Parameters
    ----------
    features : ndarray, shape (L, 2, T, F)
        Of T early and T late tiles of each location, those of one t in the same season.

    Returns
    -------
    ndarray of float64, shape (L,)
        The mean over all t, over the mean of all pairs of different tiles of a period.
    """
    unit = features / np.linalg.norm(features, axis=3, keepdims=True)
    long = np.linalg.norm(unit[:, 0] - unit[:, 1], axis=2).mean(axis=1)
    a, b = np.triu_indices(features.shape[2], k=1)
    short = np.linalg.norm(unit[:, :, a] - unit[:, :, b], axis=3).mean(axis=(1, 2))
    ratio: NDArray[np.float64] = long.astype(np.float64) / np.maximum(short, 1e-12)
    return ratio


def linear_probe(
    features: NDArray[np.floating],
    labels: NDArray[np.str_],
    groups: NDArray[np.int64],
    folds: int = 5,
) -> float:
    """Accuracy of a linear classifier on frozen features, cross-validated.

    Parameters
    ----------
    features : ndarray, shape (N, F)
        Standardised here.
    labels : ndarray of str, shape (N,)
        The classes.
    groups : ndarray of int64, shape (N,)
        Locations: all tiles of one are on the same side of each split.
    folds : int
        Splits, each class spread evenly over them.

    Returns
    -------
    float
        Share of the tiles whose class is found.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold, cross_val_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000))
    split = StratifiedGroupKFold(folds, shuffle=True, random_state=0)
    scores = cross_val_score(model, features, labels, groups=groups, cv=split)
    return float(np.mean(scores))
