"""Fetching of locations by Dask workers: the only module that imports Dask.

One task fetches one location and makes one request at a time. Every task carries the addresses of
the current workers, from which a worker derives its share of the caps, so that the caps hold over
all workers together, also when workers join or leave. More tasks than `concurrency` are submitted:
while one task decodes, the request of another one is in flight. The number of tasks bounds the
memory, and no worker waits for the result of another one.
"""

from __future__ import annotations

import atexit
import logging
import os
import re
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from itertools import islice
from queue import Empty, SimpleQueue
from typing import Any
from uuid import uuid4

import dask
from distributed import (
    CancelledError,
    Client,
    KilledWorker,
    LocalCluster,
    Security,
    Worker,
    WorkerPlugin,
    get_worker,
)
from distributed.comm.core import CommClosedError

from caco_data.download.fetch import Requests, fetch_location
from caco_data.download.probe import KnownTile, try_source
from caco_data.download.settings import MAX_WORKERS, ClusterSettings, FetchSettings
from caco_data.errors import InputError, RefusedError
from caco_data.sources.base import SourceSettings
from caco_data.sources.limiter import Limiter, RateShare
from caco_data.sources.retry import call_with_retries
from caco_data.sources.tally import STATUS_INTERVAL_S, Counts, WorkerStatus
from caco_data.types import Location, Outcome

_log = logging.getLogger(__name__)
# At the end of the process, an interrupt of Dask's clean-up would print a traceback. Functions are
# called in reverse order of their registration: this one before Dask's.
atexit.register(signal.signal, signal.SIGINT, signal.SIG_IGN)
_SILENT = logging.CRITICAL + 1
#: By default glibc returns the memory of every tile-sized array to the system, and Dask's settings
#: make it return smaller blocks too; allocating it again caused page faults that took longer than
#: the work itself.
_MALLOC = {
    "MALLOC_TRIM_THRESHOLD_": 1 << 28,
    "MALLOC_MMAP_THRESHOLD_": 1 << 25,
    "OMP_NUM_THREADS": 1,
    "MKL_NUM_THREADS": 1,
    "OPENBLAS_NUM_THREADS": 1,
}


class RunPlugin(WorkerPlugin):
    """State of one run in one worker process: its limiter and its opened source.

    Parameters
    ----------
    run : str
        Name of the run, of the plugin, and of the topic to which the worker reports its status.
    source, fetch, cluster
        Settings of the run.
    """

    def __init__(
        self, run: str, source: SourceSettings, fetch: FetchSettings, cluster: ClusterSettings
    ) -> None:
        self.name = run
        self._source = source
        self._fetch = fetch
        self._cluster = cluster

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

    def probe(self, locations: list[Location], workers: tuple[str, ...]) -> KnownTile | None:
        """Open the source and read one tile; see `caco_data.download.probe.probe`."""
        self._limiter.share = _share(self._cluster, workers, self._address)
        return try_source(self._source, self._fetch, self._cluster.retry, self._limiter, locations)

    def fetch(
        self, location: Location, workers: tuple[str, ...], known_tile: KnownTile | None
    ) -> tuple[Outcome, str, WorkerStatus]:
        """Fetch a location; also return this worker's address and status.

        An unforeseen error is a failure of this location only: the others are still fetched.
        """
        try:
            outcome = fetch_location(location, self._open(workers, known_tile))
        except (InputError, RefusedError):
            raise
        except Exception as error:
            outcome = Outcome(location.location_id, failure=f"{type(error).__name__}: {error}")
        return outcome, self._address, self._limiter.status()

    def _open(self, workers: tuple[str, ...], known_tile: KnownTile | None) -> Requests:
        """Open the source if this is the first task."""
        retry = self._cluster.retry
        with self._opening:
            self._limiter.share = _share(self._cluster, workers, self._address)
            if self._requests is None:
                source = call_with_retries(
                    lambda: self._source.open(self._limiter), retry, self._limiter
                )
                self._requests = Requests(source, self._fetch, retry, self._limiter, known_tile)
            return self._requests


def _task(run: str, method: str, *arguments: Any) -> Any:
    return getattr(get_worker().plugins[run], method)(*arguments)


def _share(cluster: ClusterSettings, workers: tuple[str, ...], address: str) -> RateShare:
    """Share of one worker in the caps on requests in flight and requests per second."""
    n = len(workers)
    place = workers.index(address) if address in workers else n - 1
    in_flight = cluster.concurrency // n + (place < cluster.concurrency % n)
    return RateShare(max(1, in_flight), cluster.requests_per_second, place, n)


def _tasks_ahead(concurrency: int, workers: int) -> int:
    """Number of tasks submitted at a time.

    One and a half times the maximum number of requests in flight, which is reached although some
    tasks decode and encode. With more workers than requests, the share of each worker is one
    request, and the number of tasks is the limit.
    """
    return concurrency if workers >= concurrency else concurrency + -(-concurrency // 2)


class Workers:
    """The workers of one run, accessed through a Dask client.

    Parameters
    ----------
    client : distributed.Client
        Connected to the workers.
    run : str
        Name under which a `RunPlugin` is registered.
    cluster : ClusterSettings
        Settings of the run.
    """

    def __init__(self, client: Client, run: str, cluster: ClusterSettings) -> None:
        self.statuses: dict[str, WorkerStatus] = {}
        """Latest status of each worker, by its address."""
        self.addresses: tuple[str, ...] = ()
        """Addresses of the workers that were connected within the last second."""
        self._client = client
        self._run = run
        self._cluster = cluster
        self._events: SimpleQueue[tuple[str, WorkerStatus]] = SimpleQueue()
        client.subscribe_topic(run, self._receive)

    def probe(self, locations: list[Location]) -> KnownTile | None:
        """Read one tile on one of the workers; see `caco_data.download.probe.try_source`."""
        future = self._client.submit(
            _task, self._run, "probe", locations, self._connected(), pure=False
        )
        known_tile: KnownTile | None = self._result(future)
        return known_tile

    def outcomes(
        self, locations: list[Location], known_tile: KnownTile | None
    ) -> Iterator[Outcome | None]:
        """Fetch locations; yield outcomes in order of completion, and None after each idle second.

        Parameters
        ----------
        locations : list of Location
            Locations to fetch.
        known_tile : tuple of Scene and Grid, or None
            A tile that can be read; see `Breaker`.

        Raises
        ------
        InputError, RefusedError
            As raised in a worker, by opening the source or by a request; and when the scheduler
            does not answer any more.
        """
        # Not `as_completed`: its timeout applies to all futures together, not to each wait.
        ended: SimpleQueue[Any] = SimpleQueue()
        waiting = iter(locations)
        location_of: dict[Any, int] = {}
        self.addresses, listed_at = self._connected(), time.monotonic()

        def submit(count: int) -> None:
            for location in islice(waiting, count):
                future = self._client.submit(
                    _task, self._run, "fetch", location, self.addresses, known_tile, pure=False
                )
                location_of[future.key] = location.location_id
                future.add_done_callback(ended.put)

        submit(_tasks_ahead(self._cluster.concurrency, len(self.addresses)))
        while location_of:
            if time.monotonic() - listed_at > STATUS_INTERVAL_S:
                self.addresses, listed_at = self._connected(), time.monotonic()
            while not self._events.empty():
                self._keep_latest(*self._events.get())
            try:
                future = ended.get(timeout=STATUS_INTERVAL_S)
            except Empty:
                yield None
                continue
            submit(1)
            location_id = location_of.pop(future.key)
            try:
                outcome, address, status = self._result(future)
                self._keep_latest(address, status)
            except KilledWorker as error:
                # Several workers died while they fetched this location (out of memory, a crash in a
                # library): the other locations are still fetched.
                outcome = Outcome(location_id, failure=f"its workers died: {error}")
            future.release()
            yield outcome

    def _result(self, future: Any) -> Any:
        """Result of a task, or its exception."""
        try:
            return future.result()
        except (CancelledError, CommClosedError) as error:
            raise RefusedError(
                "The Dask scheduler does not answer any more",
                self._cluster.scheduler or "",
                "Start it again, then run the same command; finished locations are kept",
            ) from error

    def _receive(self, event: tuple[float, tuple[str, dict[str, Any]]]) -> None:
        address, status = event[1]
        counts = Counts(**status["counts"])
        self._events.put((address, WorkerStatus(**{**status, "counts": counts})))

    def _keep_latest(self, address: str, status: WorkerStatus) -> None:
        """Store a status unless it is older than the stored one: they can arrive out of order."""
        before = self.statuses.get(address)
        if before is None or before.counts.requests <= status.counts.requests:
            self.statuses[address] = status

    def _connected(self) -> tuple[str, ...]:
        return tuple(sorted(self._client.nthreads())) or ("",)


@contextmanager
def connect(
    cluster: ClusterSettings, source: SourceSettings, fetch: FetchSettings
) -> Iterator[Workers]:
    """Prepare the workers of an existing scheduler, or of a new local cluster, for a run.

    Raises
    ------
    InputError
        When the scheduler does not answer.
    """
    # Silence messages about connections and exits of workers; errors are raised as exceptions.
    for name in list(logging.root.manager.loggerDict):
        if name.split(".")[0] in ("distributed", "tornado", "asyncio"):
            logging.getLogger(name).setLevel(_SILENT)
    run = f"caco-data-{uuid4().hex}"
    with _existing(cluster) if cluster.scheduler else _local(cluster, source.computes) as client:
        client.register_plugin(RunPlugin(run, source, fetch, cluster))
        try:
            yield Workers(client, run, cluster)
        finally:
            if cluster.scheduler:  # local workers end with the run anyway
                with suppress(Exception):  # a lost connection has already raised an error
                    client.unsubscribe_topic(run)
                    client.unregister_worker_plugin(run)


@contextmanager
def _existing(settings: ClusterSettings) -> Iterator[Client]:
    """Connect to an existing scheduler."""
    # Dask's client ends with a traceback for an address without a port.
    if not re.fullmatch(r"(\w+://)?[^\s/]+:\d+/?", settings.scheduler or ""):
        raise InputError(
            "Not the address of a Dask scheduler",
            f"--scheduler {settings.scheduler}",
            "Pass it as tcp://HOST:8786",
        )
    try:
        client = Client(settings.scheduler, timeout="5s", set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        raise InputError(
            f"No Dask scheduler answers: {error}", settings.scheduler or "", "Check the address"
        ) from error
    with client:
        threads = sum(client.nthreads().values())
        if threads < settings.concurrency:
            _log.warning(
                "%s: %d worker threads now, so at most %d of %d requests in flight",
                *(settings.scheduler, threads, threads, settings.concurrency),
            )
        yield client


@contextmanager
def _local(settings: ClusterSettings, computes: bool) -> Iterator[Client]:
    """Start a cluster on this machine.

    A worker has enough threads for its share of `concurrency` when requests wait for a service,
    but at most two when the source computes the images: more would compete for the processor.
    """
    workers = settings.workers or min(os.cpu_count() or 1, MAX_WORKERS)
    workers = min(workers, settings.concurrency)
    threads = -(-_tasks_ahead(settings.concurrency, workers) // workers)
    # Workers inherit "ignore SIGINT" if they start now: this process handles the interrupt, and a
    # worker that is killed by it would print a traceback.
    in_main = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGINT, signal.SIG_IGN) if in_main else None
    # No work stealing and no spilling: tasks are submitted only when workers become free.
    with dask.config.set(
        {
            "distributed.worker.memory.target": False,
            "distributed.worker.memory.spill": False,
            "distributed.scheduler.work-stealing": False,
            "distributed.comm.compression": None,
            "distributed.nanny.pre-spawn-environ": _MALLOC,
        }
    ):
        try:
            cluster = LocalCluster(
                n_workers=workers,
                threads_per_worker=min(threads, 2) if computes else threads,
                processes=True,
                # Certificates of this run only: without them, every user of this machine could run
                # code in the workers.
                host="tls://127.0.0.1",
                security=Security.temporary(),
                dashboard_address=None,
                # A free port: only one download per machine could use the default port 8787.
                scheduler_kwargs={"dashboard_address": "127.0.0.1:0", "dashboard": False},
                silence_logs=_SILENT,
            )
            server: Any = cluster.scheduler
            server.http_server.stop()
        finally:
            if in_main:
                signal.signal(signal.SIGINT, before)
        client = Client(cluster, set_as_default=False, direct_to_workers=True)
        try:
            yield client
        finally:
            # Do not wait for tasks that are still running: their results are no longer needed.
            with suppress(TimeoutError, OSError):
                client.close(timeout=1)
            with suppress(TimeoutError, OSError):
                cluster.close(timeout=2)
