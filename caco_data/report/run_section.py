"""Section about runs of training: their curves laid over each other, and estimated change."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from caco_data.dataset.parquet_limits import dataset_errors, stream_table
from caco_data.errors import InputError
from caco_data.evaluation.compare import Subject, differing
from caco_data.report.elements import Chart, Section, Table, make_chart, table_of
from caco_data.report.figures import histogram_figure, histogram_table, line_figure
from caco_data.report.pictures import Change
from caco_data.storage import LocalStorage
from caco_data.types import PATCH_PX

_METRICS, _CHANGE = "metrics.csv", "change.parquet"
#: Titles, descriptions and names of the columns of metrics.csv, the numbered ones in one chart.
_CHARTS = {
    "loss": ("Loss", "Sum of the losses of all heads."),
    "head_loss": ("Loss by head", "Heads: 0 invariant to season and augmentation, 1 to the season "
                  "only, 2 to the augmentation only."),
    "accuracy": ("Accuracy by head", "Share of rows whose positive has the highest similarity."),
    "changed_share": ("Share changed", "Share of locations that are labelled changed."),
    "auroc": ("AUROC of the change estimate", "Against the true changes; 0.5 by chance."),
    "lr": ("Learning rate", "Learning rate of the optimiser."),
    "rows_per_s": ("Speed", "Rows per second, including the time to read them."),
}  # fmt: skip
#: Columns that are not shown as a curve.
_COUNTERS = ("epoch", "step")
#: Rows of the table of a curve.
_TABLE_ROWS = 200
_BINS = 40

Curve = tuple[list[float], list[float]]


@dataclass(frozen=True)
class Run:
    """A run of training."""

    subject: Subject
    name: str
    """Name of its folder, unique on the page."""
    metrics: Mapping[str, Curve]
    """Steps and values by column of metrics.csv."""
    change: pa.Table | None
    """change.parquet: location_id, ratio, label, and row and column of a local estimate."""

    @property
    def data_digest(self) -> str:
        """Digest of the training data."""
        return str(self.subject.settings.get("data_digest"))

    def estimated_change(self) -> Change:
        """Estimated change by location."""
        if self.change is None:
            return Change()
        columns = self.change.to_pydict()
        ids = columns["location_id"]
        amount = {
            i: ratio for i, ratio in zip(ids, columns["ratio"], strict=True) if ratio is not None
        }
        place = {}
        if "row" in columns and "column" in columns:
            place = {
                i: ((x + 0.5) / PATCH_PX, (y + 0.5) / PATCH_PX)
                for i, x, y in zip(ids, columns["column"], columns["row"], strict=True)
                if x is not None and y is not None
            }
        return Change(amount, "change ratio {:.2f}", place)


def read_run(subject: Subject, name: str) -> Run:
    """Read the curves and the estimated change of a run.

    Raises
    ------
    InputError
        When its files cannot be read.
    """
    storage = LocalStorage(subject.path)
    change = None
    if storage.exists(_CHANGE):
        with dataset_errors(f"{subject.path}/{_CHANGE}"):
            change = pa.Table.from_batches(stream_table(storage, _CHANGE))
        if not {"location_id", "ratio", "label"} <= set(change.column_names):
            raise InputError(
                "The table has other columns", f"{subject.path}/{_CHANGE}", "Train the run again"
            )
    return Run(subject, name, _curves(Path(subject.path) / _METRICS), change)


def _curves(path: Path) -> dict[str, Curve]:
    """Steps and values by column; values that are missing are left out."""
    if not path.is_file():
        return {}
    found: dict[str, Curve] = {}
    try:
        rows = list(csv.DictReader(io.StringIO(path.read_text())))
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(f"Unreadable metrics: {error}", str(path), "Use another run") from error
    for row in rows:
        step = _number(row.get("step"))
        for name, text in row.items():
            value = _number(text)
            if step is not None and value is not None and name not in _COUNTERS:
                x, y = found.setdefault(str(name), ([], []))
                x.append(step)
                y.append(value)
    return found


def _number(text: Any) -> float | None:
    try:
        value = float(text)
    except (TypeError, ValueError):
        return None
    return value if math.isfinite(value) else None


def run_section(runs: Sequence[Run]) -> Section:
    """Describe one run, or several laid over each other."""
    title = f"Run {runs[0].subject.path}" if len(runs) == 1 else "Runs"
    charts = [*_curve_charts(runs), *(_histogram(run) for run in runs if run.change is not None)]
    last = table_of(
        ("figure", *(run.name for run in runs)),
        [
            (name, *(run.subject.figures.get(name) for run in runs))
            for name in dict.fromkeys(name for run in runs for name in run.subject.figures)
        ],
    )
    return Section(
        title=title,
        lead=_lead(runs),
        charts=tuple(charts),
        tables=(("Last report of metrics.csv", last),),
        settings=_settings(runs),
    )


def _lead(runs: Sequence[Run]) -> str:
    parts = []
    for run in runs:
        settings = run.subject.settings
        words = [str(settings.get(key)) for key in ("method", "framework", "encoder")]
        step = run.subject.figures.get("step")
        count = f", {step:,.0f} steps" if isinstance(step, float) else ""
        parts.append(f"{run.name}: {', '.join(words)}{count}")
    return "; ".join(parts) + "."


def _settings(runs: Sequence[Run]) -> Table:
    if len(runs) == 1:
        return table_of(("setting", "value"), list(runs[0].subject.settings.items()))
    rows = differing([run.subject.settings for run in runs])
    return table_of(
        ("setting", *(run.name for run in runs)),
        [(name, *values) for name, values in rows.items()],
        "Only settings that differ.",
    )


def _curve_charts(runs: Sequence[Run]) -> list[Chart]:
    groups: dict[str, list[str]] = {name: [] for name in _CHARTS}
    for column in dict.fromkeys(name for run in runs for name in run.metrics):
        stem, _, number = column.rpartition("_")
        groups.setdefault(stem if number.isdigit() else column, []).append(column)
    charts = []
    for group, columns in groups.items():
        series = {
            _label(run, column, group, len(runs) > 1): run.metrics[column]
            for run in runs
            for column in columns
            if column in run.metrics
        }
        if not series:
            continue
        title, text = _CHARTS.get(group, (group, f"Column {group} of metrics.csv."))
        charts.append(
            make_chart(title, text, line_figure("step", title.lower(), series), _rows(series))
        )
    return charts


def _label(run: Run, column: str, group: str, several: bool) -> str:
    head = f"head {column.rpartition('_')[2]}" if column != group else ""
    return ", ".join(filter(None, (run.name if several else "", head))) or run.name


def _rows(series: Mapping[str, Curve]) -> Table:
    """Values by step; of many steps, evenly spaced ones."""
    steps = sorted({x for curve in series.values() for x in curve[0]})
    kept = steps[:: -(-len(steps) // _TABLE_ROWS)]
    values = [dict(zip(*curve, strict=True)) for curve in series.values()]
    note = f"{len(kept):,} of {len(steps):,} steps." if len(kept) < len(steps) else ""
    rows = [(int(step), *(one.get(step) for one in values)) for step in kept]
    return table_of(("step", *series), rows, note)


def _histogram(run: Run) -> Chart:
    assert run.change is not None
    ratio = run.change["ratio"].to_pandas().to_numpy(np.float64)
    label = run.change["label"].to_numpy().astype(bool)
    known = np.isfinite(ratio) & (ratio > 0)
    ratio, label = ratio[known], label[known]
    low, high = np.quantile(ratio, [0.001, 0.999]) if ratio.size else (0.5, 2.0)
    edges: NDArray[np.float64] = np.geomspace(low * 0.95, high * 1.05, _BINS + 1)
    counts = {
        "unchanged": np.histogram(ratio[~label], edges)[0],
        "changed": np.histogram(ratio[label], edges)[0],
    }
    name = "change ratio"
    return make_chart(
        f"Change of the locations, {run.name}",
        "Estimated change ratio: distance between the periods over the distance within a period; "
        f"{int(label.sum()):,} of {label.size:,} locations are labelled changed.",
        histogram_figure(name, "locations", edges, counts, x_axis_type="log"),
        table_of(*histogram_table(name, edges, counts)),
    )
