"""Tasks of a run: one task fetches one location and makes one request at a time.

More tasks than `concurrency` are submitted: while one task decodes, the request of another one is
in flight. The number of tasks bounds the memory, and no worker waits for the result of another one.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from queue import Empty, SimpleQueue
from typing import Any
from uuid import uuid4

from distributed import CancelledError, Client, Future, KilledWorker
from distributed.client import ClosedClientError

from caco_data.download.cluster.existing import existing_cluster
from caco_data.download.cluster.local import SILENT, local_cluster
from caco_data.download.cluster.membership import Membership
from caco_data.download.cluster.plugin import RunPlugin, call, uninstall
from caco_data.download.cluster.shares import tasks_ahead
from caco_data.download.cluster.waiting import Waiting
from caco_data.download.probe import KnownTile
from caco_data.download.settings import ClusterSettings, FetchSettings
from caco_data.errors import RefusedError
from caco_data.sources.base import SourceSettings
from caco_data.sources.tally import STATUS_INTERVAL_S, Counts, WorkerStatus
from caco_data.storage import LocalStorage, Storage
from caco_data.types import Location, Outcome

_log = logging.getLogger(__name__)
#: Number of times that a location loses all workers to which it may be given; then it fails.
_MAX_LOST = 3


@dataclass(frozen=True, slots=True)
class Task:
    """A submitted location."""

    future: Future[Any]
    location: Location
    workers: tuple[str, ...]
    """Addresses of the workers that may run it."""
    lost: int = 0
    """Number of times that it has lost all workers."""


class Workers:
    """The workers of one run, accessed through a Dask client.

    Parameters
    ----------
    client : distributed.Client
        Connected to the scheduler.
    plugin : RunPlugin
        State of the run, installed in every worker.
    cluster : ClusterSettings
        Settings of the run.
    """

    def __init__(self, client: Client, plugin: RunPlugin, cluster: ClusterSettings) -> None:
        self.statuses: dict[str, WorkerStatus] = {}
        """Latest status of each worker, by its address."""
        self._client = client
        self._run = plugin.name
        self._cluster = cluster
        self._events: SimpleQueue[tuple[str, WorkerStatus]] = SimpleQueue()
        self._ended: SimpleQueue[Future[Any]] = SimpleQueue()
        client.subscribe_topic(self._run, self._receive)
        where = cluster.scheduler or ""
        self._membership = Membership(client, plugin, where, cluster.retry.max_outage_s)
        with self._connection():
            self._membership.wait()
            threads = sum(client.nthreads(list(self.addresses)).values())
        if threads < cluster.concurrency and cluster.scheduler:
            _log.warning(
                "%d worker threads now, so at most %d of %d requests in flight",
                *(threads, threads, cluster.concurrency),
            )

    @property
    def addresses(self) -> tuple[str, ...]:
        """Addresses of the workers that take part in the run."""
        return self._membership.members

    def probe(self, locations: list[Location]) -> KnownTile | None:
        """Read one tile on one of the workers; see `caco_data.download.probe.try_source`."""
        with self._connection():
            known_tile: KnownTile | None = self._submit("probe", locations).result()
        return known_tile

    def outcomes(
        self, locations: Iterable[Location], known_tile: KnownTile | None
    ) -> Iterator[Outcome | None]:
        """Fetch locations; yield outcomes in order of completion, and None after each idle second.

        Parameters
        ----------
        locations : iterable of Location
            Locations to fetch.
        known_tile : tuple of Scene and Grid, or None
            A tile that can be read; see `Breaker`.

        Raises
        ------
        InputError, RefusedError
            As raised in a worker, by opening the source or by a request; and when the scheduler
            does not answer any more, or there are no workers for too long.
        """
        waiting = Waiting(locations)
        tasks: dict[Any, Task] = {}
        self._updated_at = time.monotonic()
        while waiting or tasks:
            with self._connection():
                found = self._step(tasks, waiting, known_tile)
            yield from found

    def _step(
        self, tasks: dict[Any, Task], waiting: Waiting, known_tile: KnownTile | None
    ) -> list[Outcome | None]:
        """Submit tasks and wait for the end of one; return outcomes, or None after a second."""
        found: list[Outcome | None] = []
        if time.monotonic() - self._updated_at > STATUS_INTERVAL_S:
            self._updated_at = time.monotonic()
            self._membership.update()
            self._update_statuses()
            found += self._withdraw(tasks, waiting)
        self._fill(tasks, waiting, known_tile)
        # Not `as_completed`: its timeout applies to all futures together, not to each wait.
        try:
            future = self._ended.get(timeout=STATUS_INTERVAL_S)
        except Empty:
            return [*found, None]
        task = tasks.pop(future.key, None)
        if task is None:  # withdrawn
            return found
        outcome = self._outcome(task)
        future.release()
        if outcome is None:
            waiting.appendleft((task.location, task.lost + 1))
            return found
        return [*found, outcome]

    def _fill(self, tasks: dict[Any, Task], waiting: Waiting, known_tile: KnownTile | None) -> None:
        """Submit locations until enough tasks are submitted."""
        members = self.addresses
        wanted = tasks_ahead(self._cluster.concurrency, len(members)) if members else 0
        while waiting and len(tasks) < wanted:
            location, lost = waiting.popleft()
            future = self._submit("fetch", location, known_tile)
            tasks[future.key] = Task(future, location, members, lost)
            future.add_done_callback(self._ended.put)

    def _submit(self, method: str, *arguments: Any) -> Future[Any]:
        return self._client.submit(
            call, self._run, method, *arguments, workers=self.addresses, pure=False
        )

    def _withdraw(self, tasks: dict[Any, Task], waiting: Waiting) -> list[Outcome]:
        """Let locations wait again whose workers are all lost; return those that fail."""
        members = set(self.addresses)
        lost = {key: task for key, task in tasks.items() if members.isdisjoint(task.workers)}
        if not members or not lost:
            return []
        self._client.cancel([task.future for task in lost.values()])
        failed = []
        for key, task in lost.items():
            del tasks[key]
            if task.lost < _MAX_LOST:
                waiting.appendleft((task.location, task.lost + 1))
            else:
                failed.append(Outcome(task.location.location_id, failure="its workers died"))
        return failed

    def _outcome(self, task: Task) -> Outcome | None:
        """Outcome of a finished task; None if its worker had to be admitted again."""
        try:
            result = task.future.result()
        except KilledWorker as error:
            # Several workers died while they fetched this location (out of memory, a crash in a
            # library): the other locations are still fetched.
            return Outcome(task.location.location_id, failure=f"its workers died: {error}")
        if isinstance(result, str):
            self._membership.lose(result)
            return None
        outcome: Outcome
        outcome, address, status = result
        self._keep_latest(address, status)
        return outcome

    @contextmanager
    def _connection(self) -> Iterator[None]:
        """Raise one error whenever the connection to the scheduler is lost."""
        try:
            yield
        except (CancelledError, ClosedClientError, OSError) as error:
            raise RefusedError(
                "The Dask scheduler does not answer any more",
                self._cluster.scheduler or "",
                "Start it again, then run the same command; finished locations are kept",
            ) from error

    def _receive(self, event: tuple[float, tuple[str, dict[str, Any]]]) -> None:
        address, status = event[1]
        counts = Counts(**status["counts"])
        self._events.put((address, WorkerStatus(**{**status, "counts": counts})))

    def _update_statuses(self) -> None:
        while not self._events.empty():
            self._keep_latest(*self._events.get())
        for address in self.statuses.keys() - set(self.addresses):  # their counts remain
            self.statuses[address] = replace(self.statuses[address], in_flight=0, window=0)

    def _keep_latest(self, address: str, status: WorkerStatus) -> None:
        """Store a status unless it is older than the stored one: they can arrive out of order."""
        before = self.statuses.get(address)
        if before is None or before.counts.requests <= status.counts.requests:
            self.statuses[address] = status


@contextmanager
def connect(
    cluster: ClusterSettings,
    source: SourceSettings,
    fetch: FetchSettings,
    storage: Storage | None = None,
) -> Iterator[Workers]:
    """Prepare the workers of an existing scheduler, or of a new local cluster, for a run.

    Parameters
    ----------
    cluster, source, fetch
        Settings of the run.
    storage : Storage, optional
        Folder of the data set. If it is a local one, the workers of a local cluster write their
        parts into it, under temporary names.

    Raises
    ------
    InputError
        When the scheduler does not answer.
    RefusedError
        When a worker runs other software, or no worker is available for too long.
    """
    # Silence messages about connections and exits of workers; errors are raised as exceptions.
    for name in list(logging.root.manager.loggerDict):
        if name.split(".")[0] in ("distributed", "tornado", "asyncio"):
            logging.getLogger(name).setLevel(SILENT)
    staging = storage if isinstance(storage, LocalStorage) and not cluster.scheduler else None
    plugin = RunPlugin(f"caco-data-{uuid4().hex}", source, fetch, cluster, staging)
    local = local_cluster(cluster, source.computes)
    with existing_cluster(cluster) if cluster.scheduler else local as client:
        try:
            yield Workers(client, plugin, cluster)
        finally:
            if cluster.scheduler:  # local workers end with the run anyway
                with suppress(Exception):  # a lost connection has already raised an error
                    client.unsubscribe_topic(plugin.name)
                    client.run(uninstall, plugin.name, on_error="ignore")
