"""Progress of a running download: to the display, to events.jsonl, and to the outage watch."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection

from caco_data.dataset.recorder import Recorder
from caco_data.download.outage import OutageWatch
from caco_data.download.progress import DownloadProgress
from caco_data.sources.tally import STATUS_INTERVAL_S, WorkerStatus
from caco_data.types import Outcome

_log = logging.getLogger(__name__)


class Reporter:
    """Updates the progress and passes it on.

    Parameters
    ----------
    progress : DownloadProgress
        Updated in place.
    recorder : Recorder
        Writes events.jsonl.
    on_progress : callable
        Called with the progress.
    max_outage_s : float
        See `OutageWatch`.
    """

    def __init__(
        self,
        progress: DownloadProgress,
        recorder: Recorder,
        on_progress: Callable[[DownloadProgress], None],
        max_outage_s: float,
    ) -> None:
        self.progress = progress
        self._recorder = recorder
        self._on_progress = on_progress
        self._outage = OutageWatch(max_outage_s)
        self._began = self._recorded_at = time.monotonic()

    def outcome(self, outcome: Outcome) -> None:
        """Count and record an outcome."""
        self.progress.settle(outcome)
        self._recorder.outcome(outcome)

    def workers(self, statuses: Collection[WorkerStatus], addresses: Collection[str]) -> None:
        """Add up the statuses of all workers, and report the progress.

        Raises
        ------
        RefusedError
            When no request has succeeded for too long.
        """
        progress, now = self.progress, time.monotonic()
        was_restricted = progress.restricted
        totals = progress.update(statuses)
        progress.workers = frozenset(addresses)
        progress.elapsed_s = now - self._began
        progress.outage_s = self._outage.seconds(now)
        if progress.restricted and not was_restricted:
            _log.warning(
                "The service has restricted this project (Earth Engine: the noncommercial quota is "
                "used up); fewer requests are sent at a time"
            )
        if now - self._recorded_at >= STATUS_INTERVAL_S:
            self._recorded_at = now
            self._recorder.progress(progress)
        self._on_progress(progress)
        self._outage.update(now, totals, progress.outage_cause)
