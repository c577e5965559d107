"""Progress on stderr: a bar on a terminal, plain or JSON lines elsewhere."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Any

from caco_data.printable import printable

from .output import echo
from .render import duration, plural, retries

if TYPE_CHECKING:
    from caco_data.download.progress import DownloadProgress, Stage
    from caco_data.training.metrics import TrainProgress

#: Seconds between two lines where there is no bar.
LINE_EVERY_S = 60.0
#: The same while files are read or joined, and the interval of the bar.
STAGE_EVERY_S, BAR_EVERY_S = 10.0, 0.1


#: By stage: what is counted, and what is done to it.
_STAGES = {
    "resuming": ("file", "reading", "read"),
    "finishing": ("shard", "joining", "joined"),
}


class DownloadDisplay:
    """Progress display of a download: the callback of `caco_data.download.run.download`."""

    def __init__(self, json_log: bool, quiet: bool) -> None:
        self._json = json_log
        self._quiet = quiet and not json_log
        self._bar: Any = None
        if sys.stderr.isatty() and not json_log and not quiet:
            from tqdm import tqdm

            self._bar = tqdm(unit="location", dynamic_ncols=True)
        self._last = self._stage_at = time.monotonic()

    def __call__(self, now: DownloadProgress) -> None:
        """Update the bar, or print a line if the last one is `LINE_EVERY_S` old."""
        if now.stage is not None:
            self._show_stage(now.stage)
            return
        settled = now.done + now.rejected.total()
        if self._bar is not None:
            if self._bar.total is None:
                self._bar.initial = settled  # those of earlier runs do not count for the rate
            self._bar.total = settled + now.pending
            self._bar.n = settled
            self._bar.set_description_str("", refresh=False)
            self._bar.set_postfix_str(printable(self._rates(now)))
        elif not self._quiet and time.monotonic() - self._last >= LINE_EVERY_S:
            self._last = time.monotonic()
            self._line(now)

    def _show_stage(self, stage: Stage) -> None:
        """Show the start of a stage, then its progress once per interval."""
        interval = BAR_EVERY_S if self._bar is not None else STAGE_EVERY_S
        if stage.done and time.monotonic() - self._stage_at < interval:
            return
        self._stage_at = time.monotonic()
        noun, begin, done = _STAGES[stage.name]
        if stage.done:
            text = f"{stage.name}: {stage.done:,} of {stage.count:,} {noun}s {done}"
        else:
            text = f"{stage.name}: {begin} {plural(stage.count, noun)}"
        if self._bar is not None:
            self._bar.set_description_str(text)
        elif self._json:
            echo(json.dumps({"stage": stage.name, "done": stage.done, "of": stage.count}), err=True)
        elif not self._quiet:
            echo(text, err=True)

    def _rates(self, now: DownloadProgress) -> str:
        seconds = max(now.elapsed_s, 1e-9)
        line = (
            f"{now.tiles} tiles, {now.rejected.total()} rejected, "
            f"{now.nbytes / 1e6 / seconds:.1f} MB/s, {now.requests / seconds:.1f} requests/s"
        )
        if now.window:
            line += f", {now.in_flight} of {now.window} in flight"
        return f"{line}, {retries(now.retries)}"

    def _line(self, now: DownloadProgress) -> None:
        if self._json:
            fields = {
                "locations": now.done,
                "pending": now.pending,
                "rejected": dict(now.rejected),
                "tiles": now.tiles,
                "requests": now.requests,
                "bytes": now.nbytes,
                "retries": dict(now.retries),
                "in_flight": now.in_flight,
                "window": now.window,
                "elapsed_s": round(now.elapsed_s, 1),
                "eta_s": None if now.eta_s is None else round(now.eta_s, 1),
            }
            echo(json.dumps(fields), err=True)
            return
        settled = now.done + now.rejected.total()
        echo(
            f"{settled} of {settled + now.pending} locations, {self._rates(now)}, "
            f"{duration(now.eta_s)} left",
            err=True,
        )

    def close(self, now: DownloadProgress | None) -> None:
        """Close the bar; with `--json-log`, print the last state."""
        if self._bar is not None:
            self._bar.close()
        if now is not None and self._json:
            self._line(now)


class TrainDisplay:
    """Progress display of a training run: a bar on a terminal, one line per report elsewhere."""

    def __init__(self, quiet: bool) -> None:
        self._quiet = quiet
        self._began: tuple[float, int] | None = None
        self._bar: Any = None

    def __call__(self, now: TrainProgress) -> None:
        """Update the bar, or print a line."""
        if self._bar is None and sys.stderr.isatty() and not self._quiet:
            from tqdm import tqdm

            self._bar = tqdm(unit="step", initial=now.step - 1, dynamic_ncols=True)
        accuracy = "/".join(f"{x:.0%}" for x in now.accuracy)
        parts = [f"loss {now.loss:.3f}", f"accuracy {accuracy}"]
        if now.changed_share is not None:
            parts.append(f"changed {now.changed_share:.0%}")
        if now.auroc is not None:
            parts.append(f"AUROC {now.auroc:.3f}")
        parts.append(f"{now.rows_per_s:.1f} rows/s")
        text = ", ".join(parts)
        if self._bar is not None:
            self._bar.total = now.steps
            self._bar.update(now.step - self._bar.n)
            self._bar.set_postfix_str(text)
        elif not self._quiet:
            left = duration(self._left_s(now))
            echo(
                f"epoch {now.epoch} of {now.epochs}, step {now.step} of {now.steps}: {text}, "
                f"{left} left",
                err=True,
            )

    def _left_s(self, now: TrainProgress) -> float | None:
        """Seconds left at the rate since the first report, which excludes the start-up."""
        if self._began is None:
            self._began = time.monotonic(), now.step
            return None
        begun, first = self._began
        return (time.monotonic() - begun) / (now.step - first) * (now.steps - now.step)

    def close(self) -> None:
        """Close the bar; its last state stays visible."""
        if self._bar is not None:
            self._bar.close()
