"""Progress reports of a run, and the AUROC of the change estimate."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

METRICS = "metrics.csv"


@dataclass(frozen=True)
class TrainProgress:
    """Progress of a run; losses, accuracies and rate are means since the previous report."""

    epoch: int
    """Number of the current epoch, from 1."""
    epochs: int
    """Number of epochs of the run; `steps` may end it earlier."""
    step: int
    """Steps done."""
    steps: int
    """Steps of the whole run."""
    loss: float
    """Sum of the losses of all heads."""
    head_loss: tuple[float, ...]
    """Loss per head."""
    accuracy: tuple[float, ...]
    """Share of rows whose positive has the highest similarity, per head."""
    lr: float
    """Learning rate."""
    changed_share: float | None
    """Share of locations labelled changed; None for methods without change labels."""
    auroc: float | None
    """AUROC of the change ratio against the truth; computed at the end of an epoch, if known."""
    rows_per_s: float
    """Rows per second, including the time to read them."""

    @property
    def row(self) -> dict[str, object]:
        """The report as a row of metrics.csv."""
        fields = asdict(self)
        row: dict[str, object] = {}
        for name in ("epoch", "step", "loss"):
            row[name] = fields[name]
        for name in ("head_loss", "accuracy"):
            row |= {f"{name}_{i}": value for i, value in enumerate(fields[name])}
        for name in ("lr", "changed_share", "auroc", "rows_per_s"):
            row[name] = fields[name]
        return row


def auroc(score: NDArray[np.float64], changed: NDArray[np.bool_]) -> float:
    """Area under the ROC curve of a change score.

    Parameters
    ----------
    score : ndarray, shape (L,)
        Higher means more likely changed; locations with NaN are left out.
    changed : ndarray of bool, shape (L,)
        The truth.

    Returns
    -------
    float
        NaN when the remaining locations are all changed or all unchanged.
    """
    from sklearn.metrics import roc_auc_score

    known = np.isfinite(score)
    score, changed = score[known], changed[known]
    if changed.all() or not changed.any():
        return float("nan")
    return float(roc_auc_score(changed, score))
