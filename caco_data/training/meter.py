"""Mean losses and accuracies between two reports, and the rate of training."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import torch
from lightning.fabric import Fabric
from numpy.typing import NDArray
from torch import Tensor

from caco_data.training.batches import Batch
from caco_data.training.distributed import mean
from caco_data.training.loss import Scores


@dataclass(frozen=True)
class Means:
    """Means over the steps since the last report and over all processes."""

    steps: int
    """Number of steps."""
    head_loss: tuple[float, ...]
    """Loss per head."""
    accuracy: tuple[float, ...]
    """Accuracy per head."""
    rows_per_s: float
    """Rows per second, including the time to read them."""
    not_finite: NDArray[np.int64] | None
    """Locations of the first batch with a loss that is not finite; None if there is none."""

    @property
    def loss(self) -> float:
        """Sum of the losses of all heads."""
        return float(np.sum(self.head_loss))


class Meter:
    """Collects losses and accuracies on the device until the next report.

    Parameters
    ----------
    fabric : Fabric
        Processes to average over.
    rows : int
        Rows per step over all processes.
    """

    def __init__(self, fabric: Fabric, rows: int) -> None:
        self._fabric = fabric
        self._rows = rows
        self._values: list[Tensor] = []
        self._batches: list[NDArray[np.int64]] = []
        self._since = time.perf_counter()

    def add(self, batch: Batch, scores: Scores) -> None:
        """Add a step, without waiting for the device."""
        self._values.append(torch.cat([scores.loss.detach(), scores.accuracy]))
        self._batches.append(batch.locations)

    def fetch(self) -> Means:
        """Return the means since the last call; waits for the device and the other processes."""
        values = mean(self._fabric, torch.stack(self._values)).double().cpu().numpy()  # (S, 2 V)
        steps, heads = len(values), values.shape[1] // 2
        bad = np.flatnonzero(~np.isfinite(values).all(axis=1))
        not_finite = self._batches[bad[0]] if len(bad) else None
        self._values, self._batches = [], []
        now = time.perf_counter()
        seconds, self._since = now - self._since, now
        means = values.mean(axis=0)
        return Means(
            steps=steps,
            head_loss=tuple(means[:heads].tolist()),
            accuracy=tuple(means[heads:].tolist()),
            rows_per_s=steps * self._rows / seconds,
            not_finite=not_finite,
        )
