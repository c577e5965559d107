from __future__ import annotations

import numpy as np
import pytest

from caco_data.evaluation.classifiers import linear, nearest_neighbours
from caco_data.evaluation.logistic import fit_logistic, logits_of, principal_axes
from caco_data.evaluation.results import accuracy
from caco_data.evaluation.uncertainty import interval, resampled


def blobs(n: int, seed: int, spread: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 3
    return (4 * np.eye(3)[labels] + rng.normal(0, spread, (n, 3))).astype(np.float32), labels


def test_the_vote_of_five_neighbours() -> None:
    train = np.array([0.0, 1, 2, 10, 11, 12, 13])[:, None]
    found = nearest_neighbours(train, np.array([4, 4, 4, 7, 7, 7, 7]), np.array([[1.0], [12.0]]))
    assert found.labels.tolist() == [4, 7]
    assert found.confidence.tolist() == [0.6, 0.8]


@pytest.mark.parametrize("c", [1e-3, 0.3, 300.0])
def test_logistic_regression_minimises_the_loss_of_the_protocol(c: float) -> None:
    """At the minimum of (1/n) CE + (1/n) (1/2C) |W|^2 its gradient is zero."""
    from scipy.special import softmax

    x, y = blobs(60, 0, 2)
    # Directions of very different variance, and a column that depends on the others.
    x = np.column_stack([x * [1, 100, 0.01], x[:, 0] + 100 * x[:, 1]]).astype(np.float64)
    x -= x.mean(0)
    axes = principal_axes(x)
    model = fit_logistic(axes, y, c, 4000, 1e-9)
    w = axes.directions.T @ model.weights
    p = softmax(logits_of(model, axes, x), axis=1)
    error = (p - np.eye(3)[y]) / len(x)
    assert np.abs(x.T @ error + w / (c * len(x))).max() < 1e-6
    assert np.abs(error.sum(0)).max() < 1e-6


def test_c_is_chosen_on_the_validation_part() -> None:
    train, val, test = (blobs(n, seed, 2.0) for n, seed in ((60, 0), (60, 1), (90, 2)))
    done = []
    found = linear(*train, *val, test[0], lambda i, n: done.append((i, n)))
    assert found.best_c is not None
    assert 1e-6 <= found.best_c <= 1e4
    assert np.mean(found.labels == test[1]) > 0.7
    assert done[-1] == (41, 41)
    again = linear(*train, *val, test[0])
    assert (again.labels == found.labels).all()


def test_a_constant_added_to_the_features_changes_nothing() -> None:
    train, val, test = (blobs(n, seed, 2.0) for n, seed in ((60, 0), (60, 1), (90, 2)))
    found = linear(*train, *val, test[0])
    moved = linear(train[0] + 8, train[1], val[0] + 8, val[1], test[0] + 8)
    assert moved.best_c == found.best_c
    np.testing.assert_allclose(moved.confidence, found.confidence, atol=1e-3)


def test_the_interval_covers_the_share_and_shrinks_with_the_cases() -> None:
    widths = []
    for n in (100, 10_000):
        correct = np.arange(n) % 4 != 0
        values = resampled(accuracy(correct), n, 200, 0)
        low, high = interval(values)
        assert low < 0.75 < high
        widths.append(high - low)
    assert widths[0] == pytest.approx(10 * widths[1], rel=0.5)
    assert np.isnan(interval(np.array([np.nan]))).all()
