from __future__ import annotations

import logging

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import normalize

from caco_data.training.change import RATIO, ChangeEstimator
from caco_data.training.settings import MixtureKind

torch.set_num_threads(1)
CPU = torch.device("cpu")


def two_groups(
    low: float = 0.0, high: float = 1.5, n: int = 1000, share: float = 0.3, seed: int = 0
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Ratios with log-normal groups, and a mask of those of the higher group."""
    rng = np.random.default_rng(seed)
    changed = rng.random(n) < share
    return np.exp(rng.normal(np.where(changed, high, low), 0.3)), changed


def embeddings(rows: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return normalize(torch.randn(rows, 4, generator=generator), dim=1)


def fitted(ratios: NDArray[np.float64], kind: MixtureKind = "log") -> ChangeEstimator:
    estimator = ChangeEstimator(len(ratios), CPU, kind)
    estimator.distances[:, RATIO] = torch.from_numpy(ratios).float().repeat_interleave(2)
    estimator.seen[:] = True
    estimator.fit()
    return estimator


def test_distances_and_ratio_of_each_row() -> None:
    estimator = ChangeEstimator(3, CPU)
    anchor, key = embeddings(4, 0), embeddings(4, 1)
    estimator.update(torch.tensor([4, 5, 0, 1]), anchor, key)
    for row, own, other in ((4, 0, 1), (5, 1, 0), (0, 2, 3), (1, 3, 2)):
        long, short = (anchor[own] - anchor[other]).norm(), (anchor[own] - key[own]).norm()
        expected = torch.stack([long, short, long / (short + 1e-4)])
        torch.testing.assert_close(estimator.distances[row], expected)
    assert estimator.seen.tolist() == [True, True, False, False, True, True]
    assert np.isnan(estimator.ratios()).tolist() == [False, True, False]


def test_moving_average_has_beta_of_four_fifths() -> None:
    estimator = ChangeEstimator(1, CPU)
    rows = torch.tensor([0, 1])
    measured = []
    for seed in range(3):
        alone = ChangeEstimator(1, CPU)
        alone.update(rows, embeddings(2, seed), embeddings(2, 10 + seed))
        measured.append(alone.distances)
        estimator.update(rows, embeddings(2, seed), embeddings(2, 10 + seed))
    expected = 0.8 * (0.8 * measured[0] + 0.2 * measured[1]) + 0.2 * measured[2]
    torch.testing.assert_close(estimator.distances, expected)


@given(order=st.permutations(range(6)))
def test_state_does_not_depend_on_the_order_of_locations(order: list[int]) -> None:
    anchor, key = embeddings(12, 0), embeddings(12, 1)
    straight, shuffled = ChangeEstimator(6, CPU), ChangeEstimator(6, CPU)
    rows = torch.arange(12)
    straight.update(rows, anchor, key)
    mixed = torch.tensor([row for i in order for row in (2 * i, 2 * i + 1)])
    for part in mixed.reshape(-1, 4):  # two locations per batch
        shuffled.update(part, anchor[part], key[part])
    torch.testing.assert_close(shuffled.distances, straight.distances)


def test_no_location_is_labelled_changed_before_the_first_fit() -> None:
    assert not ChangeEstimator(5, CPU).changed.any()


@pytest.mark.parametrize("kind", ["log", "raw"])
def test_groups_are_separated(kind: MixtureKind) -> None:
    ratios, changed = two_groups()
    estimator = fitted(ratios, kind)
    assert (estimator.changed.numpy() == changed).mean() > (0.97 if kind == "log" else 0.85)
    assert estimator.changed_share == pytest.approx(0.3, abs=0.04 if kind == "log" else 0.15)


@pytest.mark.parametrize("scale", [1e-3, 1e3])
def test_labels_do_not_depend_on_the_scale(scale: float) -> None:
    ratios, _ = two_groups()
    assert torch.equal(fitted(ratios).changed, fitted(ratios * scale).changed)


def test_an_outlier_does_not_become_a_component() -> None:
    ratios, changed = two_groups(n=400)
    ratios[7] = 1e4
    assert (fitted(ratios).changed.numpy() == changed).mean() > 0.95


@pytest.mark.parametrize(
    "ratios",
    [
        np.full(100, 2.0),
        np.full(100, np.nan),
        np.array([1.0, 2.0, 3.0]),
        np.array([]),
        np.where(np.arange(100) < 95, np.inf, 1.0),
    ],
    ids=["constant", "nan", "few", "none", "few finite"],
)
def test_no_labels_and_one_warning_if_the_mixture_cannot_be_fitted(
    ratios: NDArray[np.float64], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        estimator = fitted(ratios)
        estimator.fit()
    assert not estimator.changed.any()
    assert estimator.threshold == float("inf")
    assert [r.levelname for r in caplog.records] == ["WARNING"]


def test_locations_without_a_finite_ratio_are_not_labelled() -> None:
    ratios, changed = two_groups(n=300)
    ratios[[3, 8]] = np.nan
    estimator = fitted(ratios)
    assert not estimator.changed[[3, 8]].any()
    keep = np.isfinite(ratios)
    assert (estimator.changed.numpy() == changed)[keep].mean() > 0.95


def test_state_is_restored() -> None:
    ratios, _ = two_groups(n=50)
    estimator, other = fitted(ratios), ChangeEstimator(50, CPU)
    other.load_state_dict(estimator.state_dict())
    assert torch.equal(other.changed, estimator.changed)
    assert torch.equal(other.distances, estimator.distances)
    assert torch.equal(other.seen, estimator.seen)
    assert other.threshold == estimator.threshold < float("inf")
