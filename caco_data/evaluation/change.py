"""Detection of changed locations: features, and the estimate of a training run, against the truth.

The score of a location is the distance between the periods divided by the distance within them
(`probes.change_ratio`). A location is changed when more than 2 % of its pixels are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from caco_data.dataset.reader import Dataset, open_dataset
from caco_data.dataset.tiles import read_tiles
from caco_data.errors import InputError
from caco_data.evaluation.cache import Cache, digest
from caco_data.evaluation.change_pictures import plot_ranked_pairs
from caco_data.evaluation.contenders import (
    Contender,
    ImageStatistics,
    Inputs,
    NetworkContender,
    fresh,
    open_device,
    trained,
)
from caco_data.evaluation.evaluation import Evaluation, encoder_name
from caco_data.evaluation.image_features import Progress
from caco_data.evaluation.image_reader import Pixels
from caco_data.evaluation.probes import change_ratio
from caco_data.evaluation.results import Measured, file_stem, measure, write_results
from caco_data.evaluation.settings import ChangeSettings
from caco_data.evaluation.uncertainty import Metric
from caco_data.training.models.preprocess import Unit
from caco_data.training.models.weights import load_encoder
from caco_data.training.truth import CHANGED_FRACTION, read_truth

TASK = "change"
#: Name of the estimate of a training run in tables, and its file in the folder of the run.
ESTIMATE, ESTIMATE_FILE = "estimate of the training", "change.parquet"
#: Locations per part of the cache.
_PART = 50


@dataclass(frozen=True)
class _Data:
    """A data set with known changes."""

    dataset: Dataset
    ids: NDArray[np.int64]
    """(L,), ids of the locations."""
    changed: NDArray[np.bool_]
    """(L,), the truth."""


def evaluate_change(settings: ChangeSettings, progress: Progress = lambda *_: None) -> Evaluation:
    """Evaluate how well an encoder tells changed locations from others.

    Parameters
    ----------
    settings : ChangeSettings
        Encoder and data set.
    progress : callable
        Called with the name of a step, the units done and their number.

    Raises
    ------
    InputError
        When the data set has no truth, or lacks a band of the encoder.
    DatasetError
        When the data set is damaged.
    """
    settings.check()
    encoder = load_encoder(settings.encoder)
    data = _open(settings.data)
    estimate = _estimate(settings, data.ids)
    inputs, device = Inputs(encoder.card, settings.image_size), open_device(settings.device)
    name, cache = encoder_name(settings), Cache(settings.out)
    contenders: list[Contender] = [
        trained(name, encoder, inputs, device),
        fresh(inputs, device, settings.seed),
        ImageStatistics(),
    ]
    bands = encoder.card.band_names
    scores = {
        one.name: (one, change_ratio(_features(data, one, bands, cache, progress)))
        for one in contenders
    }
    measured = [
        row for one, score in scores.values() for row in _measure(settings, data, one, score)
    ]
    if estimate is not None:
        measured += _measure(settings, data, None, estimate)
    stem = file_stem(TASK, name)
    picture = f"{stem}-pairs.png"
    plot_ranked_pairs(
        data.dataset, data.ids, scores[name][1], data.changed, f"{TASK}, {name}",
        Path(settings.out) / picture,
    )  # fmt: skip
    write_results(
        settings.out,
        stem,
        measured,
        task=TASK,
        settings=asdict(settings),
        card=encoder.card.to_dict(),
        locations=data.ids.tolist(),
        changed=data.changed.tolist(),
        scores={label: score.round(6).tolist() for label, (_, score) in scores.items()},
        notes=[],
    )
    share = f"{data.changed.sum()} of {len(data.ids)} locations changed"
    files = (f"{stem}.json", picture, "results.csv")
    note = f"{share} (more than {CHANGED_FRACTION:.0%} of the pixels): AUROC is 0.5 by chance"
    return Evaluation(tuple(measured), (), (note,), tuple(f"{settings.out}/{one}" for one in files))


def _open(root: str) -> _Data:
    dataset = open_dataset(root)
    _ = dataset.first_and_last  # an error before anything is computed
    ids = dataset.stacks().location_ids
    changed = read_truth(dataset, ids)
    if changed is None:
        raise InputError(
            "The data set has no truth.parquet", root,
            "Use one of the simulated archive (download --source simulated)",
        )  # fmt: skip
    if changed.all() or not changed.any():
        kind = "All" if changed.all() else "None"
        raise InputError(f"{kind} of the {len(ids)} locations changed", root, "Use more locations")
    return _Data(dataset, ids, changed)


def _features(
    data: _Data, contender: Contender, bands: Sequence[str], cache: Cache, progress: Progress
) -> NDArray[np.float32]:
    """Features of the tiles of the first and of the last period, (L, 2, T, F)."""
    step = f"features, {contender.name}"
    parts = []
    for start in range(0, len(data.ids), _PART):
        ids = data.ids[start : start + _PART]

        def compute(
            ids: NDArray[np.int64] = ids, start: int = start
        ) -> dict[str, NDArray[np.float32]]:
            rows = []
            for i, location_id in enumerate(ids.tolist()):
                rows.append(contender.features(_tiles(data.dataset, location_id, bands)))
                progress(step, start + i + 1, len(data.ids))
            return {"features": np.stack(rows)}

        key = digest("tiles", contender.digest, data.dataset.digest, ids.tolist(), list(bands))
        parts.append(cache.arrays(key, compute)["features"])
        progress(step, start + len(ids), len(data.ids))
    found = np.concatenate(parts)
    return found.reshape(len(data.ids), 2, data.dataset.layout.tiles, -1)


def _tiles(dataset: Dataset, location_id: int, bands: Sequence[str]) -> list[Pixels]:
    """All tiles of the first and of the last period of a location."""
    periods = dataset.first_and_last
    tiles = np.concatenate([read_tiles(dataset, location_id, p, bands) for p in periods])
    unit: Unit = "uint8" if tiles.dtype == np.uint8 else "DN"
    return [Pixels(tile, tuple(bands), unit) for tile in tiles]


def _estimate(settings: ChangeSettings, ids: NDArray[np.int64]) -> NDArray[np.float64] | None:
    """Ratio of each location in `change.parquet`; None without such a file."""
    path = Path(settings.estimate or Path(settings.encoder) / ESTIMATE_FILE)
    if not path.is_file():
        if settings.estimate:
            raise InputError("No change estimate here", str(path), "Use change.parquet of a run")
        return None
    try:
        table = pq.ParquetFile(path).read(["location_id", "ratio"], use_threads=False)
    except (pa.ArrowException, OSError, KeyError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise InputError(
            f"Not a change estimate: {reason}", str(path), "Use change.parquet of a run"
        ) from error
    ratios = dict(zip(*(table[name].to_pylist() for name in ("location_id", "ratio")), strict=True))
    found = np.array([ratios.get(i) for i in ids.tolist()], dtype=np.float64)
    if np.isnan(found).all():
        if settings.estimate:
            raise InputError(
                "The estimate has none of the locations", str(path), "Use the run of this data set"
            )
        return None
    return found


def _measure(
    settings: ChangeSettings, data: _Data, contender: Contender | None, score: NDArray[np.float64]
) -> list[Measured]:
    known = np.isfinite(score)
    score, changed = score[known], data.changed[known]
    network = isinstance(contender, NetworkContender)
    card = contender.inputs.card if isinstance(contender, NetworkContender) else None
    return [
        measure(
            metric, len(score), settings.bootstrap, settings.seed,
            dataset=TASK, method="estimate" if contender is None else "ratio", metric_name=name,
            name=ESTIMATE if contender is None else contender.name,
            model=card.architecture if card else "",
            image_size=settings.image_size if network else None,
            normalization="model_native" if network else "none",
            bands=" ".join(card.band_names) if card else "",
            partition=f"all locations of {Path(settings.data).name}",
            encoder_digest=contender.digest if contender else "",
            data_digest=data.dataset.digest,
        )
        for name, metric in change_metrics(score, changed, settings.top).items()
    ]  # fmt: skip


def change_metrics(
    score: NDArray[np.float64], changed: NDArray[np.bool_], top: int
) -> dict[str, Metric]:
    """Metrics of a change score, as functions of the positions of some locations.

    Parameters
    ----------
    score : ndarray, shape (L,)
        Higher means more likely changed.
    changed : ndarray of bool, shape (L,)
        The truth.
    top : int
        k of the precision among the k highest scores; at most the number of changed locations.
    """
    from sklearn.metrics import average_precision_score, roc_auc_score

    k = max(1, min(top, int(changed.sum())))

    def two_classes(positions: NDArray[np.int64]) -> bool:
        found = changed[positions]
        return bool(found.any() and not found.all())

    def auroc(positions: NDArray[np.int64]) -> float:
        if not two_classes(positions):
            return float("nan")
        return float(roc_auc_score(changed[positions], score[positions]))

    def average_precision(positions: NDArray[np.int64]) -> float:
        if not two_classes(positions):
            return float("nan")
        return float(average_precision_score(changed[positions], score[positions]))

    def precision_at_k(positions: NDArray[np.int64]) -> float:
        order = np.argsort(-score[positions], kind="stable")[:k]
        return float(changed[positions][order].mean())

    return {
        "auroc": auroc,
        "average precision": average_precision,
        f"precision@{k}": precision_at_k,
    }
