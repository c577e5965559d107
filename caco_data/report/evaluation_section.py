"""Sections about evaluations and audits: metrics with intervals, floors, confusion matrices."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from bokeh.models import ColumnDataSource
from bokeh.models.annotations import TeeHead, Whisker

from caco_data.errors import InputError
from caco_data.evaluation.compare import Subject, differing, metric_differences
from caco_data.report.elements import Chart, Section, Table, make_chart, table_of
from caco_data.report.figures import COLOURS, base_figure, calendar_figure, hover

_AUDIT_FORMAT = "caco-audit/1"
#: Maximum number of classes of a confusion matrix that is shown.
_CLASSES = 100


@dataclass(frozen=True)
class Evaluation:
    """An evaluation, with the content of its JSON file."""

    subject: Subject
    name: str
    """Name of its file, unique on the page."""
    content: Mapping[str, Any]


def read_json_file(path: str) -> dict[str, Any]:
    """Read a JSON object.

    Raises
    ------
    InputError
        When the file is not a JSON object.
    """
    try:
        content = json.loads(Path(path).read_text())
    except (OSError, ValueError, RecursionError) as error:
        raise InputError("Not a JSON file", path, "Use one of evaluate or audit") from error
    if not isinstance(content, dict):
        raise InputError("Not a JSON object", path, "Use a file of evaluate or audit")
    return content


def is_audit(content: Mapping[str, Any]) -> bool:
    """Whether a JSON object is an audit of a data set."""
    return content.get("format") == _AUDIT_FORMAT


def evaluation_section(evaluations: Sequence[Evaluation]) -> Section:
    """Describe one evaluation, or several beside each other.

    Raises
    ------
    InputError
        When a file lacks values.
    """
    first = evaluations[0]
    try:
        charts = [*_metric_charts(evaluations)]
        for one in evaluations:
            charts += _confusions(one)
        tables = [("Results", _results(evaluations))]
        if any(one.content.get("references") for one in evaluations):
            tables.append(("Published figures", _references(evaluations)))
        if len(evaluations) > 1:
            tables.append((f"Differences from {first.name}", _differences(evaluations)))
        notes = [note for one in evaluations for note in one.content.get("notes", ())]
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            "An evaluation lacks values", first.subject.path, "Evaluate the encoder again"
        ) from error
    title = f"Evaluation {first.name}" if len(evaluations) == 1 else "Evaluations"
    lead = "Metrics with 95 % intervals from the bootstrap, beside the floors. " + " ".join(
        str(note).rstrip(".") + "." for note in dict.fromkeys(notes)
    )
    settings = differing([one.subject.settings for one in evaluations])
    rows: list[Sequence[object]] = [(name, *values) for name, values in settings.items()]
    if len(evaluations) == 1:
        rows = list(first.subject.settings.items())
    return Section(
        title=title, lead=lead, charts=tuple(charts), tables=tuple(tables),
        settings=table_of(("setting", *(one.name for one in evaluations)), rows),
    )  # fmt: skip


def _rows(evaluations: Sequence[Evaluation]) -> list[tuple[str, Mapping[str, Any]]]:
    """Rows of the results with the name of their evaluation; floors that repeat are left out."""
    found: dict[tuple[object, ...], tuple[str, Mapping[str, Any]]] = {}
    for one in evaluations:
        for i, row in enumerate(one.content["results"]):
            own = i == 0 or row["name"] == one.content["results"][0]["name"]
            key = (row["dataset"], row["method"], row["metric_name"], row["name"],
                   row["metric_value"], one.name if own else "")  # fmt: skip
            found.setdefault(key, (one.name, row))
    return list(found.values())


def _metric_charts(evaluations: Sequence[Evaluation]) -> list[Chart]:
    groups: dict[tuple[str, str], list[tuple[str, Mapping[str, Any]]]] = {}
    for name, row in _rows(evaluations):
        groups.setdefault((row["dataset"], row["metric_name"]), []).append((name, row))
    return [_intervals(*key, rows) for key, rows in groups.items()]


def _intervals(task: str, metric: str, rows: list[tuple[str, Mapping[str, Any]]]) -> Chart:
    """Points with whiskers, one per row, the first on top."""
    known = [(name, row) for name, row in rows if row["metric_value"] is not None]
    labels = [f"{i}. {row['name']}, {row['method']}" for i, (_, row) in enumerate(known, start=1)]
    values = {
        key: np.array([np.nan if row[key] is None else row[key] for _, row in known], float)
        for key in ("metric_value", "ci_lower", "ci_upper")
    }
    every = np.concatenate([*values.values(), [np.nan]])
    low, high = (np.nanmin(every), np.nanmax(every)) if np.isfinite(every).any() else (0.0, 1.0)
    pad = 0.05 * max(high - low, 0.01)
    made = base_figure(
        metric, "", tools="", y_range=list(reversed(labels)), x_range=(low - pad, high + pad)
    )
    made.height = 90 + 34 * max(1, len(labels))
    source = ColumnDataSource({"label": labels, **values})
    points = made.scatter("metric_value", "label", source=source, size=10, color=COLOURS[0])
    whisker = Whisker(
        base="label", lower="ci_lower", upper="ci_upper", dimension="width", source=source,
        line_color=COLOURS[0], line_width=2,
    )  # fmt: skip
    whisker.lower_head = whisker.upper_head = TeeHead(size=10, line_color=COLOURS[0])
    made.add_layout(whisker)
    made.add_tools(
        hover(("", "@label"), (metric, "@metric_value{0.000}"),
              ("95 %", "@ci_lower{0.000} – @ci_upper{0.000}"), renderers=[points])
    )  # fmt: skip
    return make_chart(
        f"{task}: {metric}", "Value and 95 % interval of the encoder and the floors.", made,
        table_of(
            ("evaluation", "encoder", "method", metric, "from", "to"),
            [(name, row["name"], row["method"], row["metric_value"], row["ci_lower"],
              row["ci_upper"]) for name, row in rows],
        ),
    )  # fmt: skip


def _results(evaluations: Sequence[Evaluation]) -> Table:
    columns = ("dataset", "method", "metric_name", "metric_value", "ci_lower", "ci_upper", "name",
               "model", "n_train", "n_test", "partition")  # fmt: skip
    head = ("evaluation", "task", "method", "metric", "value", "from", "to", "encoder", "network",
            "training cases", "test cases", "parts")  # fmt: skip
    rows = [(name, *(row.get(key) for key in columns)) for name, row in _rows(evaluations)]
    return table_of(head, rows, "From and to: bounds of the 95 % interval.")


def _references(evaluations: Sequence[Evaluation]) -> Table:
    rows = {
        (ref["name"], ref["method"], ref["metric_name"], ref["value"], ref["source"])
        for one in evaluations
        for ref in one.content.get("references") or ()
    }
    return table_of(("encoder", "method", "metric", "value", "source"), sorted(rows, key=str))


def _differences(evaluations: Sequence[Evaluation]) -> Table:
    rows = []
    for other in evaluations[1:]:
        for one in metric_differences(evaluations[0].subject, other.subject):
            task, method, metric, floor = one.key
            verdict = "larger than" if one.certain else "within"
            rows.append((other.name, task, method, metric, floor or "encoder", one.value, one.low,
                         one.high, f"{verdict} its uncertainty"))  # fmt: skip
    return table_of(
        ("evaluation", "task", "method", "metric", "of", "difference", "from", "to", "verdict"),
        rows,
    )


def _confusions(one: Evaluation) -> list[Chart]:
    classes = [str(name) for name in one.content.get("classes") or ()]
    charts = []
    for title, matrix in (one.content.get("confusion") or {}).items():
        counts = np.array(matrix, np.int64)
        if counts.shape != (len(classes), len(classes)) or len(classes) > _CLASSES:
            continue
        charts.append(
            make_chart(
                f"Confusion matrix, {title}",
                "Test cases by true class (rows) and predicted class (columns).",
                calendar_figure(classes, classes, counts, "test cases"),
                table_of(
                    ("true class", *classes),
                    [(name, *row) for name, row in zip(classes, counts.tolist(), strict=True)],
                ),
            )
        )
    return charts


def audit_section(content: Mapping[str, Any], path: str) -> Section:
    """Describe an audit of a data set.

    Raises
    ------
    InputError
        When the file lacks values.
    """
    try:
        rows = [
            (one["name"], one.get("band"), one.get("early"), one.get("late"), one.get("auroc"),
             one.get("ci_lower"), one.get("ci_upper"), one.get("verdict"))
            for one in content["statistics"]
        ]  # fmt: skip
        verdict = "tell" if content["tells_apart"] else "do not surely tell"
        lead = (
            f"Statistics of the pixels {verdict} early from late tiles where nothing changed. "
            f"{content['choice']}; {content['pairs']:,} pairs."
        )
        known = [row for row in rows if isinstance(row[4], float)]
        results = [
            {"dataset": "audit", "metric_name": "AUROC", "method": row[1] or "-", "name": row[0],
             "metric_value": row[4], "ci_lower": row[5], "ci_upper": row[6]}
            for row in known
        ]  # fmt: skip
        chart = _intervals("Audit", "AUROC", [("audit", row) for row in results])
    except (LookupError, TypeError, ValueError) as error:
        raise InputError("The audit lacks values", path, "Audit the data set again") from error
    head = ("statistic", "band", "early", "late", "AUROC", "from", "to", "verdict")
    return Section(
        title=f"Audit {path}", lead=lead, charts=(chart,),
        tables=(("Verdicts", table_of(head, rows, "AUROC 0.5: no difference.")),),
    )  # fmt: skip
