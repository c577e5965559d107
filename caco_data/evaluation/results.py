"""Results of an evaluation: one row per method and encoder, as CSV and JSON."""

from __future__ import annotations

import csv
import fcntl
import io
import math
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caco_data import __version__
from caco_data.errors import InputError
from caco_data.evaluation.uncertainty import Metric, interval, resampled
from caco_data.storage import LocalStorage, write_bytes, write_json

RESULTS = "results.csv"
#: Version of the JSON files.
FORMAT = "caco-evaluation/1"
SOFTWARE = f"caco-data {__version__}"


@dataclass(frozen=True)
class Result:
    """A metric of one encoder; the columns of torchgeo-bench's CSV, and digests of the inputs."""

    dataset: str
    """Name of the task."""
    method: str
    """`knn5`, `linear`, ..."""
    metric_name: str
    metric_value: float
    ci_lower: float
    """Lower bound of the 95 % bootstrap interval."""
    ci_upper: float
    name: str
    """Name of the encoder, or of a floor."""
    model: str = ""
    """Architecture; empty for floors without a network."""
    feature_dim: int | None = None
    best_c: float | None = None
    best_lr: float | None = None
    best_batch_size: int | None = None
    n_train: int = 0
    n_val: int = 0
    n_test: int = 0
    seed: int = 0
    normalization: str = ""
    image_size: int | None = None
    interpolation: str = "bilinear"
    partition: str = ""
    """How the data were divided, in words."""
    bands: str = ""
    """Bands, separated by spaces."""
    c_range_start: float | None = None
    """Exponent of ten of the first value of C."""
    c_range_stop: float | None = None
    c_range_num: int | None = None
    merge_val: bool | None = None
    """Whether the final fit includes the validation part."""
    bootstrap: int = 0
    """Number of bootstrap resamples."""
    encoder_digest: str = ""
    """SHA-256 of the weights and the preprocessing."""
    data_digest: str = ""
    """SHA-256 of the images, labels and parts."""
    software: str = SOFTWARE


#: Columns that are results rather than settings: rows that differ only in these are the same.
_MEASURED = {
    "metric_value", "ci_lower", "ci_upper", "best_c", "best_lr", "best_batch_size", "feature_dim",
    "software",
}  # fmt: skip
COLUMNS = tuple(one.name for one in fields(Result))


@dataclass(frozen=True)
class Measured:
    """A result with the metric's values on bootstrap resamples, for paired comparisons."""

    result: Result
    resamples: tuple[float, ...]

    @property
    def record(self) -> dict[str, Any]:
        """JSON values; a value that is not a number is null."""
        values = {**asdict(self.result), "resamples": list(self.resamples)}
        return {name: _plain(value) for name, value in values.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if isinstance(value, float):
        return round(value, 6) if math.isfinite(value) else None
    return value


def measure(metric: Metric, cases: int, resamples: int, seed: int, **columns: Any) -> Measured:
    """Compute a metric with its interval.

    Parameters
    ----------
    metric : callable
        Maps positions of cases to the metric's value.
    cases : int
        Number of test cases.
    resamples, seed : int
        As in `uncertainty.resampled`.
    **columns
        Other fields of `Result`.
    """
    values = resampled(metric, cases, resamples, seed)
    low, high = interval(values)
    result = Result(
        metric_value=metric(np.arange(cases)), ci_lower=low, ci_upper=high,
        bootstrap=resamples, seed=seed, n_test=columns.pop("n_test", cases), **columns,
    )  # fmt: skip
    return Measured(result, tuple(values.tolist()))


def accuracy(correct: NDArray[np.bool_]) -> Metric:
    """Share of correct cases among those at some positions."""
    return lambda positions: float(correct[positions].mean())


def _text(row: Result) -> dict[str, str]:
    return {k: "" if v is None else str(_plain(v)) for k, v in asdict(row).items()}


def _key(row: dict[str, str]) -> tuple[str, ...]:
    return tuple(row.get(name) or "" for name in COLUMNS if name not in _MEASURED)


def append_results(root: str, rows: Sequence[Result]) -> int:
    """Add rows to `results.csv`, except those that it has already.

    The file is replaced as a whole under a lock, so that several evaluations may share a folder.

    Parameters
    ----------
    root : str
        Folder of the evaluation.
    rows : sequence of Result
        Rows to add.

    Returns
    -------
    int
        Number of rows added.

    Raises
    ------
    InputError
        When the file has other columns.
    """
    storage = LocalStorage(root)
    with _locked(Path(root) / f".{RESULTS}.lock"):
        present: list[dict[str, str]] = []
        if storage.exists(RESULTS):
            reader = csv.DictReader(io.StringIO(storage.read(RESULTS).decode()))
            if tuple(reader.fieldnames or ()) != COLUMNS:
                raise InputError(
                    "The table has other columns", f"{root}/{RESULTS}",
                    "Rename it, or use another --out",
                )  # fmt: skip
            present = list(reader)
        known = {_key(row) for row in present}
        new = [row for row in map(_text, rows) if _key(row) not in known]
        if new:
            text = io.StringIO()
            writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows([*present, *new])
            write_bytes(storage, RESULTS, text.getvalue().encode())
    return len(new)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def file_stem(task: str, name: str) -> str:
    """Name of the files of an evaluation, without suffix: `eurosat-run`."""
    return f"{task}-{re.sub(r'[^A-Za-z0-9._-]+', '-', name).strip('-') or 'encoder'}"


def write_results(root: str, stem: str, measured: Sequence[Measured], **more: Any) -> None:
    """Write the results of one evaluation as JSON, and add them to the table.

    Parameters
    ----------
    root : str
        Folder of the evaluation.
    stem : str
        Name of the JSON file without suffix.
    measured : sequence of Measured
        Results.
    **more
        Further JSON values: settings, card, references.
    """
    value = {
        "format": FORMAT,
        "software": SOFTWARE,
        **more,
        "results": [one.record for one in measured],
    }
    write_json(LocalStorage(root), f"{stem}.json", value)
    append_results(root, [one.result for one in measured])
