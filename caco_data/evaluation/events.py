"""Change events: ranking of the dates of monthly series by change (paper, section 4.5).

The score of a date is the distance of its features from those of the date before in the series,
divided by the mean distance of the series. All dates of all series are ranked together; AP@k is the
mean precision at the ranks of the true events among the k highest scores.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from caco_data.errors import InputError
from caco_data.evaluation.cache import Cache
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
from caco_data.evaluation.image_features import ImageFiles, Progress
from caco_data.evaluation.images import SUFFIXES
from caco_data.evaluation.references import references
from caco_data.evaluation.results import Measured, file_stem, measure, write_results
from caco_data.evaluation.settings import EventsSettings
from caco_data.evaluation.uncertainty import Metric
from caco_data.training.models.weights import load_encoder

TASK = "events"
EVENTS = "events.csv"
_DATE = re.compile(r"(\d{4})[-_]?(\d{2})(?:[-_]?(\d{2}))?")


@dataclass(frozen=True)
class SeriesSet:
    """Images of several places at several dates."""

    paths: tuple[Path, ...]
    """Files, sorted by series and date."""
    series: NDArray[np.int64]
    """(N,), number of the series of each image."""
    names: tuple[str, ...]
    """Names of the series."""
    event: NDArray[np.bool_]
    """(N,): whether a change event precedes the image, after the one before."""


def find_series(root: Path) -> SeriesSet:
    """Find series: folders SERIES/2021-03.tif, and `events.csv` with the columns series and date.

    The event of a date belongs to the first image of that month or later.

    Raises
    ------
    InputError
        When there are no series or events, or an event does not fit.
    """
    if not (root / EVENTS).is_file():
        raise InputError(
            f"No {EVENTS} here", str(root), "List the events with the columns 'series' and 'date'"
        )
    paths: list[Path] = []
    series: list[int] = []
    dates: list[date] = []
    names: list[str] = []
    for folder in sorted(path for path in root.iterdir() if path.is_dir()):
        dated = sorted((_date(p.stem, p), p) for p in folder.iterdir()
                       if p.suffix.lower() in SUFFIXES)  # fmt: skip
        if len(dated) < 2:
            continue
        for day, path in dated:
            paths.append(path)
            series.append(len(names))
            dates.append(day)
        names.append(folder.name)
    if not names:
        raise InputError("No series of two or more images", str(root), "Use SERIES/2021-03.tif")
    event = _mark(root / EVENTS, names, np.array(series), dates)
    return SeriesSet(tuple(paths), np.array(series), tuple(names), event)


def _date(text: str, path: Path) -> date:
    match = _DATE.search(text)
    try:
        if match is None:
            raise ValueError
        return date(int(match[1]), int(match[2]), int(match[3] or 1))
    except ValueError as error:
        raise InputError(
            "An image without a date", str(path), "Name it 2021-03.tif or 2021-03-15.tif"
        ) from error


def _mark(
    path: Path, names: Sequence[str], series: NDArray[np.int64], dates: Sequence[date]
) -> NDArray[np.bool_]:
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    if not rows or not {"series", "date"} <= rows[0].keys():
        raise InputError("No events with 'series' and 'date'", str(path), "Name the columns")
    event = np.zeros(len(series), dtype=bool)
    for row in rows:
        if row["series"] not in names:
            raise InputError(f"No series '{row['series']}'", str(path), "Remove the event")
        day = _date(row["date"] or "", path)
        here = np.flatnonzero(series == names.index(row["series"]))
        later = [i for i in here[1:] if (dates[i].year, dates[i].month) >= (day.year, day.month)]
        if not later:
            raise InputError(
                f"No image of series '{row['series']}' after {day}", str(path), "Remove the event"
            )
        event[later[0]] = True
    return event


def evaluate_events(settings: EventsSettings, progress: Progress = lambda *_: None) -> Evaluation:
    """Evaluate how well distances of features rank change events.

    Parameters
    ----------
    settings : EventsSettings
        Encoder, series and k.
    progress : callable
        Called with the name of a step, the units done and their number.

    Raises
    ------
    InputError
        When the encoder or the series cannot be used.
    """
    settings.check()
    encoder = load_encoder(settings.encoder)
    data = find_series(Path(settings.data))
    unit = None if settings.unit == "auto" else settings.unit
    files = ImageFiles(data.paths, settings.bands, unit, settings.batch_size)
    inputs, device = Inputs(encoder.card, settings.image_size), open_device(settings.device)
    name, cache = encoder_name(settings), Cache(settings.out)
    contenders: list[Contender] = [
        trained(name, encoder, inputs, device),
        fresh(inputs, device, settings.seed),
        ImageStatistics(),
    ]
    measured: list[Measured] = []
    scores = {}
    digest_of_data = files.digest(range(len(data.paths)))
    for one in contenders:
        score = event_scores(files.features(one, cache, progress), data.series)
        scores[one.name] = score.round(6).tolist()
        card = one.inputs.card if isinstance(one, NetworkContender) else None
        measured.append(
            measure(
                ap_at_k(score, data, settings.top), len(data.names), settings.bootstrap,
                settings.seed, dataset=TASK, method="distance", metric_name=f"AP@{settings.top}",
                name=one.name, model=card.architecture if card else "",
                normalization="model_native" if card else "none",
                image_size=settings.image_size if card else None,
                partition=f"{data.event.sum()} events in {len(data.paths)} images",
                bands=" ".join(card.band_names) if card else "", encoder_digest=one.digest,
                data_digest=digest_of_data,
            )
        )  # fmt: skip
    stem = file_stem(TASK, name)
    published = references(TASK, encoder.card.architecture)
    notes = ("intervals are over the series",)
    write_results(
        settings.out, stem, measured, task=TASK, settings=asdict(settings),
        card=encoder.card.to_dict(), images=[f"{p.parent.name}/{p.name}" for p in data.paths],
        events=data.event.tolist(), scores=scores,
        references=[one._asdict() for one in published], notes=list(notes),
    )  # fmt: skip
    written = (f"{settings.out}/{stem}.json", f"{settings.out}/results.csv")
    return Evaluation(tuple(measured), published, notes, written)


def event_scores(features: NDArray[np.floating], series: NDArray[np.int64]) -> NDArray[np.float64]:
    """Relative distance of each image from the one before; NaN for the first of a series.

    Parameters
    ----------
    features : ndarray, shape (N, F)
        Features, sorted by series and date.
    series : ndarray of int64, shape (N,)
        Numbers of the series.
    """
    unit = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
    found = np.full(len(features), np.nan)
    for number in np.unique(series):
        here = np.flatnonzero(series == number)
        steps = np.linalg.norm(np.diff(unit[here].astype(np.float64), axis=0), axis=1)
        found[here[1:]] = steps / max(float(steps.mean()), 1e-12)
    return found


def ap_at_k(score: NDArray[np.float64], data: SeriesSet, k: int) -> Metric:
    """AP@k as a function of the numbers of some series, which may repeat."""
    members = [np.flatnonzero((data.series == i) & np.isfinite(score))
               for i in range(len(data.names))]  # fmt: skip

    def metric(positions: NDArray[np.int64]) -> float:
        images = np.concatenate([members[i] for i in positions])
        order = images[np.argsort(-score[images], kind="stable")][:k]
        hits = data.event[order]
        if not data.event[images].any():
            return float("nan")
        if not hits.any():
            return 0.0
        precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
        return float(precision[hits].mean())

    return metric
