from __future__ import annotations

import numpy as np
import pytest

from caco_data.evaluation.probes import change_ratio, linear_probe


def test_change_ratio_of_known_angles() -> None:
    angle = np.zeros((1, 2, 5))
    angle[0, 0] = [0, 0.1, 0, 0.1, 0]
    angle[0, 1] = angle[0, 0] + 0.5
    features = 3 * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    within = 2 * np.sin(0.05) * 6 / 10  # 6 of the 10 pairs differ
    assert change_ratio(features) == pytest.approx([2 * np.sin(0.25) / within])


def test_linear_probe_separates_linear_classes_only() -> None:
    rng = np.random.default_rng(0)
    groups = np.arange(60).repeat(5)
    labels = np.where(groups % 2, "forest", "lake")
    noise = rng.normal(size=(300, 8))
    assert linear_probe(noise + 9 * (groups % 2)[:, None], labels, groups) == 1
    # Features that identify the location do not predict the class of other locations.
    names = rng.normal(size=(60, 8))[groups]
    assert linear_probe(names, labels, groups) < 0.75
