"""Land cover of BigEarthNet-S2: 19 classes, several per patch, from features of a frozen encoder.

Logistic regression per class on the features, with C chosen on the validation part by micro mAP,
from 10 % and from all of the training part; micro mAP on the test part.
"""

from __future__ import annotations

import warnings
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caco_data.evaluation.bigearthnet_files import CLASSES, Patches, find_patches, read_patch
from caco_data.evaluation.cache import Cache, digest
from caco_data.evaluation.classifiers import C_START, C_STOP, FINAL_ITERATIONS, TOLERANCE
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
from caco_data.evaluation.image_features import PART, Progress
from caco_data.evaluation.references import references
from caco_data.evaluation.results import Measured, file_stem, measure, write_results
from caco_data.evaluation.settings import EvaluationSettings
from caco_data.evaluation.uncertainty import Metric
from caco_data.training.models.weights import load_encoder

TASK = "bigearthnet"
#: Shares of the training part.
SHARES = (0.1, 1.0)
#: Values of C: fewer than for one label per image, because each needs 19 fits.
C_COUNT = 11


def evaluate_bigearthnet(
    settings: EvaluationSettings, progress: Progress = lambda *_: None
) -> Evaluation:
    """Evaluate an encoder on BigEarthNet-S2, beside the floors.

    Parameters
    ----------
    settings : EvaluationSettings
        Encoder, data and protocol.
    progress : callable
        Called with the name of a step, the units done and their number.

    Raises
    ------
    InputError
        When the encoder or the patches cannot be used.
    """
    settings.check()
    encoder = load_encoder(settings.encoder)
    patches = find_patches(Path(settings.data))
    inputs, device = Inputs(encoder.card, settings.image_size), open_device(settings.device)
    name, cache = encoder_name(settings), Cache(settings.out)
    bands = encoder.card.band_names
    contenders: list[Contender] = [
        trained(name, encoder, inputs, device),
        fresh(inputs, device, settings.seed),
        ImageStatistics(),
    ]
    data = digest([p.name for p in patches.paths], patches.labels.tolist(), patches.part.tolist())
    measured: list[Measured] = []
    for one in contenders:
        features = _features(patches, one, bands, data, settings.batch_size, cache, progress)
        for share in SHARES:
            train = part_of(patches.where("train"), share, settings.seed)
            key = digest(TASK, data, one.digest, list(bands), share, settings.seed, C_COUNT)
            step = f"linear {share:.0%}, {one.name}"
            found = cache.arrays(
                key,
                lambda f=features, t=train, s=step: _fit(patches, f, t, s, progress),  # type: ignore[misc]
            )
            measured.append(_row(settings, one, patches, share, len(train), found, data,
                                 features.shape[1]))  # fmt: skip
    stem = file_stem(TASK, name)
    published = references(TASK, encoder.card.architecture)
    write_results(
        settings.out, stem, measured, task=TASK, settings=asdict(settings), classes=list(CLASSES),
        card=encoder.card.to_dict(), references=[one._asdict() for one in published], notes=[],
    )  # fmt: skip
    files = (f"{settings.out}/{stem}.json", f"{settings.out}/results.csv")
    return Evaluation(tuple(measured), published, (), files)


def part_of(positions: NDArray[np.int64], share: float, seed: int) -> NDArray[np.int64]:
    """A random share of some positions, ascending; at least one."""
    count = max(1, round(share * len(positions)))
    return np.sort(np.random.default_rng(seed).permutation(positions)[:count])


def _features(
    patches: Patches, contender: Contender, bands: tuple[str, ...], data: str, batch: int,
    cache: Cache, progress: Progress,
) -> NDArray[np.float32]:  # fmt: skip
    """Features of all patches, kept in parts."""
    total = len(patches.paths)
    rows = []
    for first in range(0, total, PART):
        chosen = patches.paths[first : first + PART]

        def compute(
            chosen: tuple[Path, ...] = chosen, first: int = first
        ) -> dict[str, NDArray[np.float32]]:
            parts = []
            for start in range(0, len(chosen), batch):
                images = [read_patch(path, bands) for path in chosen[start : start + batch]]
                parts.append(contender.features(images))
                done = first + start + len(images)
                progress(f"features, {contender.name}", done, total)
            return {"features": np.concatenate(parts)}

        key = digest("patches", data, contender.digest, list(bands), first)
        rows.append(cache.arrays(key, compute)["features"])
    return np.concatenate(rows)


def _fit(
    patches: Patches, features: NDArray[np.float32], train: NDArray[np.int64], step: str,
    progress: Progress,
) -> dict[str, NDArray[Any]]:  # fmt: skip
    """Choose C on the validation part; probabilities (N, 19) for the test part."""
    from sklearn.metrics import average_precision_score

    x = features - features[train].mean(0)
    labels, val, test = patches.labels, patches.where("val"), patches.where("test")
    scores = []
    values = np.logspace(C_START, C_STOP, C_COUNT)
    for i, c in enumerate(values):
        found = probabilities(x[train], labels[train], x[val], c)
        scores.append(average_precision_score(labels[val], found, average="micro"))
        progress(step, i + 1, C_COUNT + 1)
    best = float(values[int(np.argmax(scores))])
    both = np.concatenate([train, val])
    found = probabilities(x[both], labels[both], x[test], best)
    progress(step, C_COUNT + 1, C_COUNT + 1)
    return {"probability": found, "best_c": np.array(best)}


def probabilities(
    train: NDArray[np.float32], labels: NDArray[np.bool_], test: NDArray[np.float32], c: float
) -> NDArray[np.float64]:
    """Probability of each label by one logistic regression per label.

    Parameters
    ----------
    train, test : ndarray of float32, shape (M, F), (N, F)
        Features.
    labels : ndarray of bool, shape (M, K)
        Labels of the training cases.
    c : float
        Inverse weight of the penalty.

    Returns
    -------
    ndarray of float64, shape (N, K)
        The share of a label where all or none of the training cases have it.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    columns = []
    for label in labels.T:
        if label.all() or not label.any():
            columns.append(np.full(len(test), label.mean()))
            continue
        model = LogisticRegression(C=c, max_iter=FINAL_ITERATIONS, tol=TOLERANCE)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(train, label)
        columns.append(model.predict_proba(test)[:, 1])
    return np.stack(columns, axis=1).astype(np.float64)


def micro_map(labels: NDArray[np.bool_], probability: NDArray[np.float64]) -> Metric:
    """Mean average precision over all pairs of patch and class."""
    from sklearn.metrics import average_precision_score

    def metric(positions: NDArray[np.int64]) -> float:
        return float(
            average_precision_score(labels[positions], probability[positions], average="micro")
        )

    return metric


def _row(
    settings: EvaluationSettings, contender: Contender, patches: Patches, share: float,
    n_train: int, found: Any, data: str, dimension: int,
) -> Measured:  # fmt: skip
    card = contender.inputs.card if isinstance(contender, NetworkContender) else None
    labels = patches.labels[patches.where("test")]
    return measure(
        micro_map(labels, found["probability"]), len(labels), settings.bootstrap, settings.seed,
        dataset=TASK, method=f"linear {share:.0%}", metric_name="mAP", name=contender.name,
        model=card.architecture if card else "", feature_dim=dimension,
        best_c=float(found["best_c"]), n_train=n_train, n_val=len(patches.where("val")),
        normalization="model_native" if card else "none",
        image_size=settings.image_size if card else None, partition="of the metadata",
        bands=" ".join(card.band_names) if card else "", c_range_start=C_START,
        c_range_stop=C_STOP, c_range_num=C_COUNT, merge_val=True,
        encoder_digest=contender.digest, data_digest=data,
    )  # fmt: skip
