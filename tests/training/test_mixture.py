from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caco_data.training.mixture import fit_mixture
from caco_data.training.settings import MixtureKind


@settings(max_examples=30)
@given(
    share=st.floats(0.02, 0.98),
    gap=st.floats(0.0, 3.0),
    spread=st.floats(0.1, 3.0),
    kind=st.sampled_from(["log", "raw"]),
)
def test_labels_increase_with_the_ratio(
    share: float, gap: float, spread: float, kind: MixtureKind
) -> None:
    rng = np.random.default_rng(0)
    changed = rng.random(200) < share
    ratios = np.exp(rng.normal(np.where(changed, gap, 0), np.where(changed, spread, 0.3)))
    mixture = fit_mixture(ratios, kind)
    if mixture is None:  # the components do not separate
        assert gap < 1.5
        return
    grid = np.geomspace(1e-6, 1e6, 500)
    probability = mixture.probability(grid)
    assert (np.diff(probability) >= -1e-12).all()
    assert ((probability >= 0) & (probability <= 1)).all()
    labels = grid[probability > 0.5]
    assert labels.min() == pytest.approx(mixture.threshold, rel=0.06)
    assert (probability < 0.5).any()
