"""State of one run in one worker process."""

from __future__ import annotations

import threading
from dataclasses import asdict, replace
from typing import Any

from distributed import Worker, WorkerPlugin, get_worker

from caco_data.dataset.work_folder import part_file
from caco_data.download.cluster.shares import rate_share
from caco_data.download.fetch import Requests, fetch_location
from caco_data.download.probe import KnownTile, try_source
from caco_data.download.settings import ClusterSettings, FetchSettings
from caco_data.errors import InputError, RefusedError
from caco_data.sources.base import SourceSettings
from caco_data.sources.limiter import Limiter
from caco_data.sources.retry import call_with_retries
from caco_data.sources.tally import WorkerStatus
from caco_data.storage import LocalStorage
from caco_data.types import Location, Outcome


class RunPlugin(WorkerPlugin):
    """State of one run in one worker process: its limiter and its opened source.

    Parameters
    ----------
    run : str
        Name of the run, of the plugin, and of the topic to which the worker reports its status.
    source, fetch, cluster
        Settings of the run.
    staging : LocalStorage, optional
        Folder of the data set, if the worker can write to it.
    """

    def __init__(
        self, run: str, source: SourceSettings, fetch: FetchSettings, cluster: ClusterSettings,
        staging: LocalStorage | None = None,
    ) -> None:  # fmt: skip
        self.name = run
        self._source = source
        self._fetch = fetch
        self._cluster = cluster
        self._staging = staging

    def setup(self, worker: Worker) -> None:
        """Create the limiter; the first task opens the source, which would block the event loop."""
        self._address = worker.address
        self._limiter = Limiter(
            on_status=lambda status: worker.log_event(self.name, (worker.address, asdict(status)))
        )
        self._opening = threading.Lock()
        self._requests: Requests | None = None
        if not self._cluster.scheduler:  # a worker of the local cluster
            worker.http_server.stop()

    def teardown(self, worker: Worker) -> None:
        """End the waiting for retries: the run has ended."""
        self._limiter.stopped.set()

    def share(self, sharing: tuple[str, ...]) -> None:
        """Share the caps on requests among workers; see `caco_data.download.cluster.shares`."""
        cluster = self._cluster
        self._limiter.share = rate_share(
            sharing, self._address, cluster.concurrency, cluster.requests_per_second
        )

    def probe(self, locations: list[Location]) -> KnownTile | None:
        """Open the source and read one tile; see `caco_data.download.probe.probe`."""
        return try_source(self._source, self._fetch, self._cluster.retry, self._limiter, locations)

    def fetch(
        self, location: Location, known_tile: KnownTile | None
    ) -> tuple[Outcome, str, WorkerStatus]:
        """Fetch a location; also return this worker's address and status.

        An unforeseen error is a failure of this location only: the others are still fetched.
        """
        try:
            outcome = fetch_location(location, self._open(known_tile))
        except (InputError, RefusedError):
            raise
        except Exception as error:
            outcome = Outcome(location.location_id, failure=f"{type(error).__name__}: {error}")
        return self._staged(outcome), self._address, self._limiter.status()

    def _staged(self, outcome: Outcome) -> Outcome:
        """Write the part of an outcome to the disk, which is cheaper than to send it."""
        if self._staging is None or not isinstance(outcome.part, bytes):
            return outcome
        try:
            staged = self._staging.stage(part_file(outcome.location_id), outcome.part)
        except OSError:  # a full disk: the client, which writes it again, reports the error
            return outcome
        return replace(outcome, part=staged)

    def _open(self, known_tile: KnownTile | None) -> Requests:
        """Open the source if this is the first task."""
        retry = self._cluster.retry
        with self._opening:
            if self._requests is None:
                source = call_with_retries(
                    lambda: self._source.open(self._limiter), retry, self._limiter
                )
                self._requests = Requests(source, self._fetch, retry, self._limiter, known_tile)
            return self._requests


async def install(plugin: RunPlugin, dask_worker: Worker) -> None:
    """Install a plugin in a worker; to be called with `Client.run`."""
    await dask_worker.plugin_add(plugin=plugin, name=plugin.name, catch_errors=False)


async def uninstall(run: str, dask_worker: Worker) -> None:
    """Remove the plugin of a run from a worker; to be called with `Client.run`."""
    if run in dask_worker.plugins:
        await dask_worker.plugin_remove(name=run)


def set_share(run: str, sharing: tuple[str, ...], dask_worker: Worker) -> None:
    """Tell a worker to share the caps; to be called with `Client.run`."""
    plugin: Any = dask_worker.plugins[run]
    plugin.share(sharing)


def call(run: str, method: str, *arguments: Any) -> Any:
    """Call a method of a run's plugin, in a task.

    Returns
    -------
    object
        The result; the worker's address when the plugin is missing, because the process was
        replaced by another one with the same address.
    """
    worker = get_worker()
    plugin = worker.plugins.get(run)
    return worker.address if plugin is None else getattr(plugin, method)(*arguments)
