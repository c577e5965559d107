"""Results of a run: encoder.safetensors, change.parquet and plots."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from torch import nn

from caco_data.dataset.reader import Dataset
from caco_data.storage import LocalStorage, write_bytes
from caco_data.training.augment import NORMALISATION, OTHER_BANDS, STRETCH
from caco_data.training.change import ChangeEstimator
from caco_data.training.recorder import read_metrics
from caco_data.training.run_folder import RunFolder

ENCODER = "encoder.safetensors"
CHANGE = "change.parquet"
HISTOGRAM = "change_histogram.png"
CURVE = "loss_curve.png"


def save_encoder(
    folder: RunFolder, encoder: nn.Module, bands: tuple[str, ...], eight_bit: bool
) -> None:
    """Save the query encoder under torchvision's weight names.

    The metadata contains the settings of the run and the scaling of the input.

    Parameters
    ----------
    folder : RunFolder
        Folder of the run.
    encoder : nn.Module
        Maps images (N, C, size, size) to features (N, F).
    bands : tuple of str
        Names of the C bands.
    eight_bit : bool
        Whether the tiles were uint8 (DN / 10000 * 255) rather than uint16 (DN).
    """
    from safetensors.torch import save

    scaling = {
        "bands": bands,
        "input": "DN / 10000 * 255" if eight_bit else "DN, times 255 / 10000",
        "stretch": [STRETCH[band] for band in bands],
        "mean_and_deviation": [NORMALISATION.get(band, OTHER_BANDS) for band in bands],
    }
    weights = {name: x.detach().cpu().contiguous() for name, x in encoder.state_dict().items()}
    meta = {name: json.dumps(value) for name, value in {**folder.fixed, **scaling}.items()}
    write_bytes(folder.storage, ENCODER, save(weights, {"format": "pt", **meta}))


def save_change(
    storage: LocalStorage, location_ids: NDArray[np.int64], estimator: ChangeEstimator
) -> None:
    """Save ratio, probability and label of each location; the ratio is null if never measured."""
    ratios = estimator.ratios()
    table = pa.table(
        {
            "location_id": location_ids,
            "ratio": pa.array(ratios, mask=np.isnan(ratios)),
            "probability": estimator.probability.cpu().numpy(),
            "label": estimator.changed.cpu().numpy(),
        }
    )
    with storage.writing(CHANGE) as file:
        pq.write_table(table, file)


def save_plots(
    storage: LocalStorage,
    dataset: Dataset,
    location_ids: NDArray[np.int64],
    estimator: ChangeEstimator | None,
) -> None:
    """Save the loss curve and, for methods that estimate change, the histogram of change ratios.

    Raises
    ------
    DatasetError
        When an example of the histogram cannot be read.
    """
    from caco_data.training.plots import plot_change_histogram, plot_loss_curve

    plot_loss_curve(read_metrics(storage), storage.path(CURVE))
    if estimator is not None:
        plot_change_histogram(
            dataset,
            location_ids,
            estimator.ratios(),
            estimator.threshold,
            storage.path(HISTOGRAM),
        )
