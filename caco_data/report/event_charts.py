"""Charts of the events of the downloads: speed, rejections, retries and throttling over time."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

import numpy as np

from caco_data.dataset.events import read_events
from caco_data.dataset.layout import EVENTS
from caco_data.report.elements import Chart, make_chart, table_of
from caco_data.report.figures import bar_figure, line_figure
from caco_data.storage import Storage

#: Maximum number of intervals of time, and of different causes.
_INTERVALS, _CAUSES = 60, 8
#: Number of latest runs whose speed is shown.
_RUNS = 20


def event_charts(storage: Storage) -> list[Chart]:
    """Charts of `events.jsonl`; none without the file."""
    if not storage.exists(EVENTS):
        return []
    runs: list[tuple[datetime, Mapping[str, Any]]] = []
    counts: dict[str, list[datetime]] = defaultdict(list)
    retries: list[tuple[datetime, str, float]] = []
    windows: list[tuple[datetime, float]] = []
    for entry in read_events(storage):
        moment = _moment(entry["time"])
        if moment is None:
            continue
        match entry["event"]:
            case "end":
                runs.append((moment, entry))
            case "rejected" | "failed":
                counts[entry["event"]].append(moment)
            case "throttled":
                windows.append((moment, _number(entry.get("window"))))
            case "retries" if isinstance(entry.get("causes"), dict):
                for cause, n in entry["causes"].items():
                    retries.append((moment, str(cause)[:40], _number(n)))
    charts = []
    if runs:
        charts.append(_speed(runs))
    if retries:
        charts.append(_retries(retries))
    if windows:
        charts.append(_throttling(windows))
    if any(counts.values()):
        charts.append(_failures(counts))
    return charts


def _moment(text: str) -> datetime | None:
    """Time of an event, UTC; None when it is malformed."""
    with suppress(ValueError, OverflowError):
        moment = datetime.fromisoformat(text)
        if 2000 <= moment.year < 2200:
            return moment.replace(tzinfo=None)
    return None


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) and 0 <= value < 1e15 else 0.0


def _milliseconds(moment: datetime) -> float:
    return float(np.datetime64(moment, "ms").astype(np.int64))


def _speed(runs: list[tuple[datetime, Mapping[str, Any]]]) -> Chart:
    rows = []
    for moment, run in runs[-_RUNS:]:
        seconds = max(_number(run.get("seconds")), 1e-3)
        requests, nbytes = _number(run.get("requests")), _number(run.get("bytes"))
        rows.append((
            f"{moment:%Y-%m-%d %H:%M:%S}", int(_number(run.get("complete"))), int(requests),
            seconds, requests / seconds, nbytes / 1e6 / seconds,
        ))  # fmt: skip
    names = [f"{i}: {row[0]}" for i, row in enumerate(rows, start=1)]
    return make_chart(
        "Speed of the downloads",
        "Mean rate of requests of each run that ended, by the time of its end (UTC).",
        bar_figure("requests per second", names, [row[4] for row in rows]),
        table_of(("end", "complete", "requests", "seconds", "requests/s", "MB/s of pixels"), rows),
    )


def _retries(retries: list[tuple[datetime, str, float]]) -> Chart:
    total: Counter[str] = Counter()
    for _, cause, n in retries:
        total[cause] += int(n)
    common = [cause for cause, _ in total.most_common(_CAUSES)]
    series = {
        cause: ([_milliseconds(moment) for moment, own, _ in retries if own == cause],
                [n for _, own, n in retries if own == cause])
        for cause in common
    }  # fmt: skip
    return make_chart(
        "Retries",
        "Repeated requests by cause, at most one figure per minute (UTC).",
        line_figure("time", "retries", series, x_axis_type="datetime"),
        table_of(("cause", "retries"), total.most_common()),
    )


def _throttling(windows: list[tuple[datetime, float]]) -> Chart:
    x = [_milliseconds(moment) for moment, _ in windows]
    y = [window for _, window in windows]
    return make_chart(
        "Throttling",
        "Smallest maximum of requests in flight while the service limited them (UTC).",
        line_figure("time", "requests in flight", {"window": (x, y)}, x_axis_type="datetime"),
        table_of(("time", "requests in flight"),
                 [(f"{moment:%Y-%m-%d %H:%M:%S}", int(n)) for moment, n in windows[-200:]]),
    )  # fmt: skip


def _failures(counts: Mapping[str, list[datetime]]) -> Chart:
    moments = [_milliseconds(moment) for some in counts.values() for moment in some]
    low, high = min(moments), max(moments)
    edges = np.linspace(low, max(high, low + 1000), _INTERVALS + 1)
    series, columns = {}, {}
    for name, some in counts.items():
        found = np.histogram([_milliseconds(moment) for moment in some], edges)[0]
        columns[name] = found.tolist()
        series[name] = (edges[1:].tolist(), np.cumsum(found).tolist())
    times = np.datetime_as_string(edges[1:].astype("datetime64[ms]"), unit="s")
    rows = [
        (str(times[i]).replace("T", " "), *(columns[name][i] for name in columns))
        for i in range(_INTERVALS)
        if any(columns[name][i] for name in columns)
    ]
    return make_chart(
        "Rejections and failures over time",
        "Locations since the first one (UTC).",
        line_figure("time", "locations", series, x_axis_type="datetime"),
        table_of(("until", *columns), rows),
    )
