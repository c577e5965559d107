"""The run folder: settings, metrics, checkpoints, and what came out (DESIGN 10)."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from torch import nn

from caco_data import __version__
from caco_data.dataset.layout import TRUTH, TRUTH_SCHEMA
from caco_data.dataset.reader import Dataset
from caco_data.dataset.tables import read_table
from caco_data.errors import InputError
from caco_data.storage import LocalStorage, write_bytes
from caco_data.training.augment import NORMALISATION, OTHER_BANDS, STRETCH
from caco_data.training.change import ChangeEstimator
from caco_data.training.metrics import METRICS, TrainProgress, _csv
from caco_data.training.settings import TrainSettings, difference

CONFIG = "config.json"
ENCODER = "encoder.safetensors"
CHANGE = "change.parquet"
HISTOGRAM = "change_histogram.png"
CURVE = "loss_curve.png"

#: A location of the simulated archive has changed when this share of its pixels has.
CHANGED_FRACTION = 0.02


class RunFolder:
    """A folder that belongs to one run.

    Parameters
    ----------
    settings : TrainSettings
        Name the folder, and whether an earlier run is to go on.
    dataset : Dataset
        What is trained on.

    Raises
    ------
    InputError
        When the folder holds another run, or this one and `settings.resume` is not set.
    """

    def __init__(self, settings: TrainSettings, dataset: Dataset) -> None:
        self.storage = LocalStorage(settings.out)
        self.fixed = {**settings.fixed, "data_digest": dataset.digest}
        self._leads = False
        self._config = {
            "settings": asdict(settings),
            "data_digest": dataset.digest,
            "bands": dataset.stacks(settings.bands).bands,
            "fixed": self.fixed,
            "software": f"caco-data {__version__}, torch {torch.__version__}",
        }
        if self.storage.exists(CONFIG):
            self._compare(settings.resume)
        elif self.storage.names():
            raise InputError(
                "The folder holds files but no run", settings.out, "Choose an empty --out"
            )

    def claim(self) -> None:
        """Make the folder this run's; of several processes that train as one, one does."""
        self._leads = True
        if not self.storage.exists(CONFIG):
            text = json.dumps(self._config, indent=1) + "\n"
            write_bytes(self.storage, CONFIG, text.encode())

    def path(self, name: str) -> str:
        """Where a file of the run is."""
        return str(self.storage.path(name))

    def _compare(self, resume: bool) -> None:
        where = self.storage.root
        if not resume:
            raise InputError(
                "The folder holds a run",
                where,
                "Go on with it by --resume, or choose another --out",
            )
        try:
            found = json.loads(self.storage.path(CONFIG).read_text())["fixed"]
        except (ValueError, KeyError, TypeError) as error:
            raise InputError("Unreadable settings", f"{where}/{CONFIG}") from error
        if changes := difference(found, self.fixed):
            raise InputError(
                f"The run has other settings: {changes}",
                where,
                "Use the same settings to resume, or another --out",
            )

    @contextmanager
    def recording(self, step: int) -> Iterator[Callable[[TrainProgress], None]]:
        """Context of a function that adds a report to metrics.csv and to TensorBoard's events.

        Reports later than `step` are dropped: they come again.
        """
        if not self._leads:
            yield lambda progress: None
            return
        from torch.utils.tensorboard import SummaryWriter

        self._rewind(step)
        board = SummaryWriter(self.storage.root, purge_step=step + 1)

        def record(progress: TrainProgress) -> None:
            row = progress.row
            self._append(row)
            for name, value in row.items():
                if isinstance(value, float):
                    board.add_scalar(name, value, progress.step)

        try:
            yield record
        finally:
            board.close()

    def _rewind(self, step: int) -> None:
        path = self.storage.path(METRICS)
        if path.exists():
            with path.open(newline="") as file:
                rows = [row for row in csv.DictReader(file) if int(row["step"]) <= step]
            write_bytes(self.storage, METRICS, _csv(rows))

    def _append(self, row: dict[str, object]) -> None:
        with self.storage.path(METRICS).open("a", newline="") as file:
            writer = csv.DictWriter(file, list(row))
            if file.tell() == 0:
                writer.writeheader()
            writer.writerow(row)

    def save_encoder(self, encoder: nn.Module, bands: tuple[str, ...], eight_bit: bool) -> None:
        """Save the query encoder's weights with torchvision's names, and how to scale its input."""
        from safetensors.torch import save

        scaling = {
            "bands": bands,
            "input": "DN / 10000 * 255" if eight_bit else "DN, times 255 / 10000",
            "stretch": [STRETCH[band] for band in bands],
            "mean_and_deviation": [NORMALISATION.get(band, OTHER_BANDS) for band in bands],
        }
        weights = {name: x.detach().cpu().contiguous() for name, x in encoder.state_dict().items()}
        meta = {name: json.dumps(value) for name, value in {**self.fixed, **scaling}.items()}
        write_bytes(self.storage, ENCODER, save(weights, {"format": "pt", **meta}))

    def save_change(self, location_ids: NDArray[np.int64], estimator: ChangeEstimator) -> None:
        """Save each location's ratio, probability and label; null ratios where never seen."""
        ratios = estimator.ratios()
        table = pa.table(
            {
                "location_id": location_ids,
                "ratio": pa.array(ratios, mask=np.isnan(ratios)),
                "probability": estimator.probability.cpu().numpy(),
                "label": estimator.changed.cpu().numpy(),
            }
        )
        with self.storage.writing(CHANGE) as file:
            pq.write_table(table, file)

    def draw(
        self,
        dataset: Dataset,
        location_ids: NDArray[np.int64],
        estimator: ChangeEstimator | None,
    ) -> None:
        """Draw the loss curve and the histogram of change ratios."""
        from caco_data.training.plots import draw_change_histogram, draw_loss_curve

        with self.storage.path(METRICS).open(newline="") as file:
            rows = list(csv.DictReader(file))
        draw_loss_curve(rows, self.storage.path(CURVE))
        if estimator is not None:
            draw_change_histogram(
                dataset,
                location_ids,
                estimator.ratios(),
                estimator.threshold,
                self.storage.path(HISTOGRAM),
            )


def read_truth(dataset: Dataset, location_ids: NDArray[np.int64]) -> NDArray[np.bool_] | None:
    """Whether each location has really changed, (L,); None where nobody knows."""
    if not dataset.storage.exists(TRUTH):
        return None
    truth = read_table(dataset.storage, TRUTH, TRUTH_SCHEMA)
    fraction: Mapping[int, float] = dict(
        zip(truth["location_id"].to_pylist(), truth["changed_fraction"].to_pylist(), strict=True)
    )
    if not set(location_ids.tolist()) <= fraction.keys():
        return None
    return np.array([fraction[i] for i in location_ids.tolist()]) > CHANGED_FRACTION
