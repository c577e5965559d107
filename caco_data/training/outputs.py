"""Results of a run: encoder.safetensors, change.parquet and plots."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from torch import nn

from caco_data import __version__
from caco_data.dataset.layout import LOCATIONS
from caco_data.dataset.reader import Dataset
from caco_data.storage import LocalStorage, write_bytes
from caco_data.training.band_scaling import band_scaling
from caco_data.training.change_labels import ChangeLabels
from caco_data.training.local_change import LocalChange
from caco_data.training.metrics import METRICS
from caco_data.training.models.card import CARD_KEY, CITATION, EncoderCard, band_input
from caco_data.training.models.weights import ENCODER
from caco_data.training.recorder import read_metrics
from caco_data.training.run_folder import RunFolder

#: Licence of images of the Copernicus Sentinel missions.
COPERNICUS = (
    "Copernicus Sentinel data: free, full and open access (Legal notice on the use of Copernicus "
    "Sentinel Data and Service Information); contains modified Copernicus Sentinel data"
)
#: Licences of the images of other sources.
_LICENCES = {"simulated": "Simulated images without third-party rights"}
CHANGE = "change.parquet"
HISTOGRAM = "change_histogram.png"
CURVE = "loss_curve.png"


def save_encoder(folder: RunFolder, dataset: Dataset, encoder: nn.Module, features: int) -> None:
    """Save the query encoder under torchvision's weight names, with its card.

    Parameters
    ----------
    folder : RunFolder
        Folder of the run.
    dataset : Dataset
        Training data.
    encoder : nn.Module
        Maps images (N, C, size, size) to features (N, F).
    features : int
        Number F of features.
    """
    from safetensors.torch import save

    stacks = dataset.stacks(folder.fixed["bands"])
    rows = read_metrics(folder.storage) if folder.storage.exists(METRICS) else []
    metrics = {name: float(value) for name, value in (rows[-1] if rows else {}).items() if value}
    source = dataset.meta.get("source", {})
    card = EncoderCard(
        architecture=folder.fixed["encoder"],
        features=features,
        bands=tuple(band_input(name, *band_scaling(name)) for name in stacks.bands),
        input_size=folder.fixed["crop_size"],
        input_unit="DN / 10000 * 255" if stacks.dtype == np.uint8 else "DN",
        method=folder.fixed["method"],
        framework=folder.fixed["framework"],
        steps=int(metrics["step"]) if "step" in metrics else None,
        settings=folder.fixed,
        metrics=metrics,
        data_digest=dataset.digest,
        locations_digest=dataset.meta.get("tables", {}).get(LOCATIONS),
        data_source=f"{source['name']}: {source['collection']}" if source else None,
        data_licence=_LICENCES.get(source.get("name"), COPERNICUS),
        software=f"caco-data {__version__}, torch {torch.__version__}",
        citation=CITATION,
    )
    weights = {name: x.detach().cpu().contiguous() for name, x in encoder.state_dict().items()}
    write_bytes(folder.storage, ENCODER, save(weights, {"format": "pt", CARD_KEY: card.to_json()}))


def save_change(
    storage: LocalStorage, location_ids: NDArray[np.int64], estimator: ChangeLabels
) -> None:
    """Save ratio, probability and label of each location; the ratio is null if never measured.

    A local estimate adds row and column of the largest change, in 10 m pixels of the patch.
    """
    ratios = estimator.ratios()
    columns = {
        "location_id": location_ids,
        "ratio": pa.array(ratios, mask=np.isnan(ratios)),
        "probability": estimator.probability.cpu().numpy(),
        "label": estimator.changed.cpu().numpy(),
    }
    if isinstance(estimator, LocalChange):
        columns |= dict(zip(("row", "column"), estimator.place.int().numpy().T, strict=True))
    table = pa.table(columns)
    with storage.writing(CHANGE) as file:
        pq.write_table(table, file)


def save_plots(
    storage: LocalStorage,
    dataset: Dataset,
    location_ids: NDArray[np.int64],
    estimator: ChangeLabels | None,
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
            estimator.place.numpy() if isinstance(estimator, LocalChange) else None,
        )
