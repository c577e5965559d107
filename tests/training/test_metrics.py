from __future__ import annotations

import numpy as np

from caco_data.training.metrics import auroc


def test_auroc_without_unknown_scores() -> None:
    truth = np.array([False, True, False, True])
    assert auroc(np.array([0.0, 2.0, 1.0, 3.0]), truth) == 1
    assert auroc(np.array([3.0, 0.0, np.nan, 1.0]), truth) == 0
    assert np.isnan(auroc(np.ones(4), np.ones(4, dtype=bool)))
