"""Fetching of many locations: trial, workers, storage and reports of one run."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from caco_data.dataset.ledger import Ledger
from caco_data.dataset.recorder import Recorder
from caco_data.dataset.work_folder import BLOCKS
from caco_data.dataset.writer import DatasetWriter
from caco_data.download.background_writer import BackgroundWriter
from caco_data.download.breaker import MAX_FAILURES
from caco_data.download.probe import MAX_LISTED, KnownTile, try_source
from caco_data.download.progress import DownloadProgress
from caco_data.download.reporter import Reporter
from caco_data.download.settings import ClusterSettings, DownloadSettings
from caco_data.errors import RefusedError
from caco_data.folder_lock import FolderLock
from caco_data.sources.base import SharingSettings
from caco_data.sources.limiter import Limiter, RateShare
from caco_data.storage import LocalStorage, Storage
from caco_data.types import Location, Outcome, Rejection

if TYPE_CHECKING:
    from caco_data.download.cluster import Workers


def start_workers(
    stack: ExitStack,
    settings: DownloadSettings,
    cluster: ClusterSettings,
    pending: list[Location],
    complete: list[Location],
    storage: Storage,
) -> tuple[Workers, KnownTile | None]:
    """Read one tile as a trial, and start the workers or connect to them.

    Parameters
    ----------
    stack : ExitStack
        Stops the workers when it is closed.
    settings, cluster
        Settings of the run.
    pending, complete : list of Location
        Locations for the trial.
    storage : Storage
        Folder of the data set.

    Returns
    -------
    workers : Workers
    known_tile : tuple of Scene and Grid, or None
        The tile of the trial.

    Raises
    ------
    InputError, RefusedError
        See `try_source` and `connect`.
    """
    from caco_data.download.cluster import connect  # imports Dask, which takes a second

    source, fetch = settings.source, settings.fetch
    shared = source
    if isinstance(source, SharingSettings) and isinstance(storage, LocalStorage):
        shared = source.sharing(str(Path(storage.root).absolute() / BLOCKS))
    # A complete location is tried if the first pending ones cannot be read.
    trial = [*pending[:2], *complete[:1], *pending[2:MAX_LISTED]]
    if cluster.scheduler:  # the workers have the credentials, this machine may have none
        workers = stack.enter_context(connect(cluster, shared, fetch, storage))
        return workers, workers.probe(trial)
    limiter = Limiter(RateShare(1, cluster.requests_per_second))
    known_tile = try_source(source, fetch, cluster.retry, limiter, trial)
    return stack.enter_context(connect(cluster, shared, fetch, storage)), known_tile


@dataclass(frozen=True)
class Fetcher:
    """Fetches and stores locations."""

    workers: Workers
    known_tile: KnownTile | None
    writer: DatasetWriter
    reporter: Reporter
    concurrency: int
    """Maximum number of requests in flight."""

    def fetch(self, locations: Iterable[Location]) -> bool:
        """Fetch and store locations; return whether any was completed or rejected."""
        progress = self.reporter.progress
        before = progress.settled
        progress.failed.clear()
        with BackgroundWriter(self.writer, self.concurrency) as storing:
            for outcome in self.workers.outcomes(locations, self.known_tile):
                if outcome is not None:
                    self.reporter.outcome(outcome)
                    if not outcome.failure:
                        storing.add(outcome)
                    elif not progress.settled:
                        self._check_failures(outcome.failure)
                self.reporter.workers(self.workers.statuses.values(), self.workers.addresses)
        return progress.settled > before

    def _check_failures(self, failure: str) -> None:
        """Raise an error when many locations have failed and none has been settled."""
        failed = len(self.reporter.progress.failed)
        if failed >= max(MAX_FAILURES, 2 * self.concurrency):
            raise RefusedError(
                f"All of the first {failed} locations failed, the last with: {failure}",
                "",
                "Fix the cause, then run the same command again; finished locations are kept",
            )

    def reject_failed(self) -> None:
        """Reject the locations whose requests failed at the last attempt."""
        for location_id, failure in sorted(self.reporter.progress.failed.items()):
            rejection = Rejection(location_id, "unreadable scenes", failure)
            outcome = Outcome(location_id, rejection=rejection)
            self.writer.add(outcome)
            self.reporter.outcome(outcome)


def start_fetcher(
    stack: ExitStack,
    settings: DownloadSettings,
    cluster: ClusterSettings,
    ledger: Ledger,
    lock: FolderLock,
    trial: tuple[list[Location], list[Location]],
    progress: DownloadProgress,
    on_progress: Callable[[DownloadProgress], None],
) -> Fetcher:
    """Start the workers, then reserve the folder: without access nothing is written.

    Parameters
    ----------
    stack : ExitStack
        Ends the run when it is closed.
    settings, cluster
        Settings of the run.
    ledger : Ledger
        State of the data set.
    lock : FolderLock
        The held lock of its folder.
    trial : tuple of lists of Location
        Pending and complete locations, one of which is read as a trial.
    progress : DownloadProgress
        Updated during the run.
    on_progress : callable
        Called with the progress.
    """
    workers, known_tile = start_workers(stack, settings, cluster, *trial, lock.storage)
    writer = DatasetWriter(lock.storage, ledger, lock.check)
    recorder = stack.enter_context(Recorder(lock.storage, cluster.concurrency, progress))
    reporter = Reporter(progress, recorder, on_progress, cluster.retry.max_outage_s)
    return Fetcher(workers, known_tile, writer, reporter, cluster.concurrency)
