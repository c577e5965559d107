"""Comparison of data sets, runs and evaluations: settings that differ, figures side by side."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from caco_data.dataset.layout import DESCRIPTION
from caco_data.dataset.reader import open_dataset
from caco_data.dataset.summary import summarise
from caco_data.errors import InputError
from caco_data.evaluation.results import FORMAT
from caco_data.evaluation.uncertainty import interval
from caco_data.storage import open_storage, read_json

Kind = str
#: Results of one metric: what it measures, and its values on the bootstrap resamples.
MetricKey = tuple[str, str, str, str]


@dataclass(frozen=True)
class Metric:
    """A metric of an evaluation."""

    value: float
    low: float
    high: float
    resamples: tuple[float, ...]
    cases: str
    """Digest of the test cases and the seed: equal ones have paired resamples."""


@dataclass(frozen=True)
class Subject:
    """A data set, a run or an evaluation."""

    path: str
    kind: Kind
    """`data set`, `run` or `evaluation`."""
    settings: Mapping[str, Any]
    """Flat settings by name."""
    figures: Mapping[str, Any]
    """Sizes and statistics by name."""
    metrics: Mapping[MetricKey, Metric] = field(default_factory=dict)
    """Metrics by task, method, metric and floor (empty for the encoder)."""


@dataclass(frozen=True)
class Difference:
    """Difference of a metric between two evaluations."""

    key: MetricKey
    value: float
    """Second minus first."""
    low: float
    """Lower bound of the 95 % interval of the difference."""
    high: float
    paired: bool
    """Whether both have the same test cases."""

    @property
    def certain(self) -> bool:
        """Whether the interval excludes zero."""
        return self.low > 0 or self.high < 0


def read_subject(path: str) -> Subject:
    """Read a data set, the folder of a run, or an evaluation: its JSON file or its folder.

    Raises
    ------
    InputError
        When the path is none of these.
    """
    if Path(path).is_file() and path.endswith(".json") and Path(path).name != DESCRIPTION:
        return _evaluation(path)
    if (Path(path) / "config.json").is_file():
        return _run(path)
    storage = open_storage(path)
    if storage.exists(DESCRIPTION):
        return _dataset(path)
    if Path(path).is_dir() and (found := sorted(Path(path).glob("*.json"))):
        if len(found) == 1:
            return _evaluation(str(found[0]))
        names = ", ".join(one.name for one in found[:5])
        raise InputError("A folder of several evaluations", path, f"Use one of its files: {names}")
    raise InputError(
        "Neither a data set, a run nor an evaluation", path,
        "Use a folder with dataset.json or config.json, or a JSON file of 'caco-data evaluate'",
    )  # fmt: skip


def _dataset(path: str) -> Subject:
    summary = summarise(open_dataset(path))
    figures = flat({key: summary[key] for key in ("counts", "utm_zones", "shards", "periods")})
    meta = read_json(open_storage(path), DESCRIPTION)
    return Subject(path, "data set", flat({k: meta[k] for k in ("source", "settings")}), figures)


def _run(path: str) -> Subject:
    try:
        config = json.loads((Path(path) / "config.json").read_text())
        settings = {**config["fixed"], "software": config.get("software")}
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise InputError("Unreadable settings of a run", path, "Use another run") from error
    metrics = Path(path) / "metrics.csv"
    rows = list(csv.DictReader(io.StringIO(metrics.read_text()))) if metrics.is_file() else []
    figures = {name: _number(text) for name, text in (rows[-1] if rows else {}).items()}
    return Subject(path, "run", flat(settings), figures)


def _number(text: str | None) -> Any:
    try:
        return float(text or "")
    except ValueError:
        return text


def _evaluation(path: str) -> Subject:
    try:
        content = json.loads(Path(path).read_text())
        if content["format"] != FORMAT:
            raise InputError(
                f"An evaluation of version {content['format']}",
                path,
                f"This version reads {FORMAT}",
            )
        card = content.get("card", {})
        settings = flat({
            "settings": content["settings"], "training": card.get("settings", {}),
            "method": card.get("method"), "steps": card.get("steps"),
        })  # fmt: skip
        own = content["results"][0]["name"]
        metrics = {
            (row["dataset"], row["method"], row["metric_name"], "" if row["name"] == own
             else row["name"].replace(own, "encoder")): _metric(row)
            for row in content["results"]
        }  # fmt: skip
    except (ValueError, KeyError, TypeError, LookupError, OSError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            "Not an evaluation", path, "Use a JSON file of 'caco-data evaluate'"
        ) from error
    return Subject(path, "evaluation", settings, {}, metrics)


def _metric(row: Mapping[str, Any]) -> Metric:
    values = tuple(math.nan if x is None else float(x) for x in row["resamples"])
    numbers = (row[name] for name in ("metric_value", "ci_lower", "ci_upper"))
    value, low, high = (math.nan if x is None else float(x) for x in numbers)
    cases = f"{row['data_digest']} {row['seed']} {row['n_test']} {len(values)}"
    return Metric(value, low, high, values, cases)


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one, with names joined by dots."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{prefix}{name}.")
        else:
            found[prefix + name] = value
    return found


def differing(subjects: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Values by name that are not equal in all mappings; None where a mapping lacks the name."""
    names = list(dict.fromkeys(name for one in subjects for name in one))
    rows = {name: [one.get(name) for one in subjects] for name in names}
    return {name: row for name, row in rows.items() if any(value != row[0] for value in row)}


def metric_differences(first: Subject, other: Subject) -> list[Difference]:
    """Differences of the metrics that both evaluations have.

    The 95 % interval is that of the differences on the same bootstrap resamples if the test cases
    are equal, else that of independent resamples.
    """
    found = []
    for key, a in first.metrics.items():
        b = other.metrics.get(key)
        if b is None:
            continue
        paired = a.cases == b.cases
        x, y = np.array(a.resamples), np.array(b.resamples)
        if not paired:  # every pair of independent resamples
            x, y = np.repeat(x, len(y)), np.tile(y, len(x))
        low, high = interval(y - x)
        found.append(Difference(key, b.value - a.value, low, high, paired))
    return found
