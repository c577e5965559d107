"""Progress of a run, metrics.csv, and the AUROC of the change estimate."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

METRICS = "metrics.csv"


@dataclass(frozen=True)
class TrainProgress:
    """How a run stands: means over the steps since the last such report."""

    epoch: int
    """Epochs begun."""
    epochs: int
    """Epochs of the whole run, unless its steps end before."""
    step: int
    """Steps done."""
    steps: int
    """Steps of the whole run."""
    loss: float
    """Sum over the heads."""
    head_loss: tuple[float, ...]
    """By head."""
    accuracy: tuple[float, ...]
    """Share of rows that find their positive, by head."""
    lr: float
    """Learning rate."""
    changed_share: float | None
    """Share of the locations labelled changed; None for methods without labels."""
    auroc: float | None
    """Of the change ratio against the truth, where it is known and was computed."""
    rows_per_s: float
    """Rows a second, reading included."""

    @property
    def row(self) -> dict[str, object]:
        """As a row of metrics.csv."""
        fields = asdict(self)
        row: dict[str, object] = {}
        for name in ("epoch", "step", "loss"):
            row[name] = fields[name]
        for name in ("head_loss", "accuracy"):
            row |= {f"{name}_{i}": value for i, value in enumerate(fields[name])}
        for name in ("lr", "changed_share", "auroc", "rows_per_s"):
            row[name] = fields[name]
        return row


def _csv(rows: list[dict[str, str]]) -> bytes:
    text = io.StringIO(newline="")
    if rows:
        writer = csv.DictWriter(text, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return text.getvalue().encode()


def auroc(score: NDArray[np.float64], changed: NDArray[np.bool_]) -> float:
    """Area under the ROC curve of a score against the truth.

    NaN scores are left out; NaN where the rest is all changed or all unchanged.
    """
    from sklearn.metrics import roc_auc_score

    known = np.isfinite(score)
    score, changed = score[known], changed[known]
    if changed.all() or not changed.any():
        return float("nan")
    return float(roc_auc_score(changed, score))
