"""True changes of a data set of the simulated archive."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from caco_data.dataset.reader import Dataset

#: A location counts as changed when more than this fraction of its pixels has changed.
CHANGED_FRACTION = 0.02


def read_truth(dataset: Dataset, location_ids: NDArray[np.int64]) -> NDArray[np.bool_] | None:
    """Read whether each location has changed, (L,); None when the data set does not contain it.

    Raises
    ------
    DatasetError
        When the table cannot be read.
    """
    truth = dataset.truth()
    if truth is None:
        return None
    fraction: Mapping[int, float] = dict(
        zip(truth["location_id"].to_pylist(), truth["changed_fraction"].to_pylist(), strict=True)
    )
    if not set(location_ids.tolist()) <= fraction.keys():
        return None
    return np.array([fraction[i] for i in location_ids.tolist()]) > CHANGED_FRACTION
