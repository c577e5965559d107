"""Reports of a run as metrics.csv and TensorBoard events."""

from __future__ import annotations

import csv
import io

from caco_data.storage import LocalStorage, write_bytes
from caco_data.training.metrics import METRICS, TrainProgress


class Recorder:
    """Appends reports to metrics.csv and to TensorBoard's event files.

    Parameters
    ----------
    storage : LocalStorage
        The run folder.
    step : int
        Steps done so far; reports of later steps are dropped, because these steps are repeated.
    """

    def __init__(self, storage: LocalStorage, step: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._storage = storage
        self._drop_after(step)
        self._board = SummaryWriter(storage.root, purge_step=step + 1)

    def add(self, progress: TrainProgress) -> None:
        """Record a report."""
        row = progress.row
        with self._storage.path(METRICS).open("a", newline="") as file:
            writer = csv.DictWriter(file, list(row))
            if file.tell() == 0:
                writer.writeheader()
            writer.writerow(row)
        for name, value in row.items():
            if isinstance(value, float):
                self._board.add_scalar(name, value, progress.step)

    def close(self) -> None:
        """Flush and close TensorBoard's event file."""
        self._board.close()

    def _drop_after(self, step: int) -> None:
        if not self._storage.exists(METRICS):
            return
        rows = [row for row in read_metrics(self._storage) if int(row["step"]) <= step]
        text = io.StringIO(newline="")
        if rows:
            writer = csv.DictWriter(text, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        write_bytes(self._storage, METRICS, text.getvalue().encode())


def read_metrics(storage: LocalStorage) -> list[dict[str, str]]:
    """Read the rows of metrics.csv."""
    with storage.path(METRICS).open(newline="") as file:
        return list(csv.DictReader(file))
