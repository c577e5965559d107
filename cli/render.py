"""Text for the terminal: sizes, durations, estimates, summaries."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from caco_data.printable import printable

if TYPE_CHECKING:
    from caco_data.download.estimate import Estimate
    from caco_data.download.progress import DownloadProgress
    from caco_data.training.metrics import TrainProgress


def size(nbytes: float) -> str:
    """Bytes with a decimal unit, `4.72 MB`."""
    for unit in ("B", "kB", "MB", "GB"):
        if nbytes < 1000:
            return f"{nbytes:.3g} {unit}"
        nbytes /= 1000
    return f"{nbytes:,.1f} TB"


def duration(seconds: float | None) -> str:
    """Seconds as `1:02:03` or `2:03`; None as `?`."""
    if seconds is None:
        return "?"
    minutes, s = divmod(round(seconds), 60)
    hours, m = divmod(minutes, 60)
    return f"{hours}:{m:02d}:{s:02d}" if hours else f"{m}:{s:02d}"


def retries(by_cause: Counter[str]) -> str:
    """Retries as `12 retries (429 x10, timeout x2)`."""
    causes = ", ".join(f"{cause} x{n}" for cause, n in by_cause.most_common())
    count = by_cause.total()
    return ("1 retry" if count == 1 else f"{count} retries") + (f" ({causes})" if causes else "")


def rejections(by_reason: dict[str, int]) -> str:
    """Rejected locations as `2 too few scenes, 5 too cloudy`."""
    return ", ".join(f"{n} {reason}" for reason, n in by_reason.items())


def columns(rows: list[tuple[str, str]], width: int) -> str:
    """Lines of a label and a text; the texts start at column `width`."""
    return "\n".join(f"{label:<{width}}{printable(text)}" for label, text in rows)


def estimate_table(estimate: Estimate) -> str:
    """Requests, bytes and hours of a download, one line each."""
    return columns(
        [
            ("locations", f"{estimate.locations:,}"),
            ("requests", _requests(estimate)),
            ("received", _received(estimate)),
            (
                "on disk",
                f"at most {size(estimate.disk_nbytes)} in {plural(estimate.shards, 'shard')}",
            ),
            ("time", _time(estimate)),
        ],
        10,
    )


def _requests(estimate: Estimate) -> str:
    if estimate.shared:
        return f"at most about {estimate.requests:,}; locations of one city share many of them"
    return f"about {estimate.requests:,}, at least {estimate.min_requests:,}"


def _received(estimate: Estimate) -> str:
    if estimate.shared:
        return f"at most about {size(estimate.received_nbytes)}, likewise"
    return f"about {size(estimate.received_nbytes)} before compression"


def _time(estimate: Estimate) -> str:
    from caco_data.download.estimate import LATENCY_S

    least = f"at least {_hours(estimate.min_hours)} at the maximum rate, "
    about = f"about {_hours(estimate.hours)} if each request takes {LATENCY_S:g} s"
    return f"at most {about}" if estimate.shared else least + about


def estimate_line(estimate: Estimate) -> str:
    """Requests, bytes and hours of a download in one line."""
    about = "at most about" if estimate.shared else "about"
    return (
        f"{about} {estimate.requests:,} requests, {size(estimate.disk_nbytes)} on disk, "
        f"{_hours(estimate.hours)}; see --dry-run for details"
    )


def download_result(result: DownloadProgress) -> str:
    """Result of a download in one line."""
    reasons = rejections(dict(sorted(result.rejected.items())))
    line = f"{plural(result.done, 'location')} complete, {result.rejected.total()} rejected" + (
        f" ({reasons})" if reasons else ""
    )
    if result.finished and not result.settled:
        return f"{line}; nothing was left to do"
    if result.failed:
        line += f", {len(result.failed)} still to be fetched"
    return (
        f"{line}; {result.tiles} tiles, {result.requests} requests, "
        f"{retries(result.retries)}, {result.nbytes / 1e6:.1f} MB of pixels "
        f"in {duration(result.elapsed_s)}"
    )


def train_result(out: str, last: TrainProgress | None) -> str:
    """Result of a training run in one line; None for a run that was already finished."""
    if last is None:
        return f"{out}: the run was already finished"
    line = f"{out}: {last.step} steps, loss {last.loss:.3f}"
    if last.auroc is None:
        return line
    return f"{line}, AUROC of the change estimate against the true changes {last.auroc:.3f}"


def dataset_summary(summary: dict[str, Any]) -> str:
    """Summary of a data set from `caco_data.dataset.summary.summarise`, one line per item."""
    counts = summary["counts"]
    compress = "" if summary["compress"] == "none" else f", {summary['compress']}"
    rows = [
        ("data set", summary["dataset"]),
        ("format", f"{summary['format']}, written by {summary['software']}"),
        ("source", f"{summary['source']} ({summary['collection']})"),
        ("bands", f"{', '.join(summary['bands'])} as {summary['dtype']}{compress}"),
        ("locations", f"{counts['complete']} complete of {counts['locations']}"),
        ("rejected", rejections(counts["rejected"]) or "none"),
        ("shards", f"{summary['shards']}, {counts['nbytes'] / 1e6:.1f} MB"),
        ("UTM zones", str(summary["utm_zones"])),
    ]
    for name, period in summary["periods"].items():
        if period["tiles"]:
            dates = f"{period['first'][:10]} to {period['last'][:10]}"
            clear = f"{period['mean_clear_fraction']:.1%} clear"
            rows.append((name, f"{period['tiles']} tiles, {dates}, {clear}"))
    if damaged := summary["damaged_shards"]:
        text = f"{plural(len(damaged), 'shard')} missing or of another size; run 'caco-data verify'"
        rows.append(("damaged", text))
    if summary["merged"]:
        rows.append(("parts", ", ".join(summary["merged"])))
    if text := summary["events"] and events(summary["events"]):
        rows.append(("events", text))
    return columns(rows, 11)


def events(summary: dict[str, Any]) -> str:
    """Events of a data set's downloads in one line; empty for one run without incidents.

    `2 runs, 12 retries (429 x10, timeout x2), 1 outage (2:03), 1 worker lost`
    """
    parts = [plural(summary["runs"], "run")] if summary["runs"] > 1 else []
    if summary["retries"]:
        parts.append(retries(Counter(summary["retries"])))
    if summary["throttled"]:
        parts.append("throttled")
    if summary["restricted"]:
        parts.append("restricted by the service")
    if n := summary["outages"]:
        parts.append(f"{plural(n, 'outage')} ({duration(summary['outage_s'])})")
    if summary["workers_lost"]:
        parts.append(f"{plural(summary['workers_lost'], 'worker')} lost")
    if summary["stopped"]:
        parts.append(f"last stopped by: {summary['stopped'][-1]['reason']}")
    return ", ".join(parts)


def plural(n: int, noun: str) -> str:
    """A number with a noun, `1 run` or `2,000 runs`."""
    return f"{n} {noun}" if n == 1 else f"{n:,} {noun}s"


def _hours(hours: float) -> str:
    """Hours, minutes or seconds."""
    if hours >= 2:
        return f"{hours:,.1f} hours"
    if hours >= 2 / 60:
        return plural(round(hours * 60), "minute")
    return plural(math.ceil(hours * 3600), "second")


def text_table(rows: Sequence[tuple[str, ...]]) -> str:
    """Rows of texts as aligned columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(text.ljust(n) for text, n in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)
