"""Plans to stacks to shards over Dask: the only module that imports dask.

One task is one location, and makes one request at a time. Every task carries its worker's share of
the caps, so that they hold over all workers together, also when workers come and go. A few tasks
more than `concurrency` are handed out: while one decodes, another's request is in flight. Memory is
bounded by the work in flight, and a worker's results wait for nobody.
"""

from __future__ import annotations

import hashlib
import logging
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from itertools import islice
from queue import Empty, Full, Queue, SimpleQueue
from typing import Any
from uuid import uuid4

from caco_data.dataset import read_description
from caco_data.errors import InputError
from caco_data.fetch import FetchSettings, Outcome, fetch_location, scored
from caco_data.limiter import PULSE_S, Counts, Limiter, Pulse, Share
from caco_data.location_files import geoparquet_table
from caco_data.locations import LocationTable, extend
from caco_data.retry import RetryPolicy, call_with_retries
from caco_data.sources.base import ImageSource, SourceSettings
from caco_data.storage import open_storage
from caco_data.types import Location, Rejection
from caco_data.workspace import Workspace

#: Worker processes of a local cluster, when nothing else is said: one a core, but no more.
MAX_WORKERS = 8
#: Longest an interrupt waits for what is finished to be kept, seconds.
STOP_S = 2.0


#: glibc gives every array of a tile's size back to the system, and Dask makes it keener still; the
#: page faults of asking for it again took more time than the work.
_MALLOC = {
    "MALLOC_TRIM_THRESHOLD_": 1 << 28,
    "MALLOC_MMAP_THRESHOLD_": 1 << 25,
    "OMP_NUM_THREADS": 1,
    "MKL_NUM_THREADS": 1,
    "OPENBLAS_NUM_THREADS": 1,
}


@dataclass(frozen=True)
class ClusterSettings:
    """How the work is spread; none of it changes the data set's bytes."""

    concurrency: int = 40
    """Most requests in flight over all workers (Earth Engine's quota a project)."""
    requests_per_second: float | None = None
    """Most requests started a second over all workers; None for no cap."""
    workers: int | None = None
    """Worker processes of the local cluster; None for one a core, at most `MAX_WORKERS`."""
    scheduler: str | None = None
    """Address of an existing Dask scheduler, used instead of a local cluster."""
    retry: RetryPolicy = field(default_factory=RetryPolicy)


@dataclass(frozen=True)
class DownloadSettings:
    """What decides the data set's bytes, beside its locations."""

    source: SourceSettings
    fetch: FetchSettings
    locations_per_shard: int = 128
    fill: bool = False
    """Draw replacements for rejected locations, by the sampler's next rows."""


@dataclass(slots=True)
class Progress:
    """How far a download is: handed to the callback after every location."""

    wanted: int
    """Locations asked for."""
    done: int
    """Complete locations, those of earlier runs included."""
    rejected: Counter[str]
    """Rejected locations by reason, those of earlier runs included."""
    settled: int = 0
    """Locations completed or rejected by this run."""
    pending: int = 0
    """Locations still to do."""
    tiles: int = 0
    """Tiles accepted by this run."""
    requests: int = 0
    """Requests of this run, retries included."""
    nbytes: int = 0
    """Bytes of pixels received by this run."""
    retries: Counter[str] = field(default_factory=Counter)
    """Retries of this run by cause."""
    in_flight: int = 0
    """Requests on their way, as the workers last reported."""
    window: int = 0
    """Most requests that may be: less than `concurrency` while the service throttles."""
    elapsed_s: float = 0.0
    """Seconds since this run began."""

    def settle(self, outcome: Outcome) -> None:
        """Count an outcome that has been kept."""
        self.settled += 1
        self.pending -= 1
        if outcome.rejection:
            self.rejected[outcome.rejection.reason] += 1
        else:
            self.done += 1

    def heard(self, pulses: Collection[Pulse]) -> None:
        """Take over how things stand in the workers."""
        total = Counts()
        for pulse in pulses:
            total.add(pulse.counts)
        self.tiles, self.requests, self.nbytes = total.tiles, total.requests, total.nbytes
        self.retries = Counter(total.retries)
        self.in_flight = sum(pulse.in_flight for pulse in pulses)
        self.window = sum(pulse.window for pulse in pulses)

    @property
    def eta_s(self) -> float | None:
        """Estimated seconds to the end; None before the first location."""
        return self.elapsed_s / self.settled * self.pending if self.settled else None


_opening = threading.Lock()


@lru_cache(maxsize=2)
def _limiter(run: str) -> Limiter:
    """Make the limiter of a run in this process, which the run hears of under its name."""
    from distributed import get_worker

    worker = get_worker()
    return Limiter(on_pulse=lambda pulse: worker.log_event(run, (worker.address, asdict(pulse))))


@lru_cache(maxsize=2)
def _opened(source: SourceSettings, run: str) -> ImageSource:
    return source.open(_limiter(run))


def _task(
    location: Location,
    caps: tuple[int, float | None],
    workers: tuple[str, ...],
    source: SourceSettings,
    settings: FetchSettings,
    retry: RetryPolicy,
    run: str,
) -> tuple[Outcome, str, Pulse]:
    """Fetch a location in a worker, whose threads share one opened source and one limiter."""
    from distributed import get_worker

    me = get_worker().address
    with _opening:
        limiter = _limiter(run)
        limiter.share = _share(caps, workers, me)
        opened = call_with_retries(lambda: _opened(source, run), retry, limiter)
    outcome = fetch_location(location, opened, settings, retry, limiter)
    return outcome, me, limiter.pulse()


def _share(caps: tuple[int, float | None], workers: tuple[str, ...], me: str) -> Share:
    """Split the caps on requests in flight and a second over the workers."""
    in_flight, per_second = caps
    n = len(workers)
    place = workers.index(me) if me in workers else n - 1
    return Share(max(1, in_flight // n + (place < in_flight % n)), per_second, place, n)


def _describe(settings: DownloadSettings, locations: LocationTable) -> dict[str, Any]:
    """Fixed part of dataset.json: all that decides the data set's bytes."""
    points = hashlib.sha256()
    for array in (locations.location_id, locations.longitude, locations.latitude):
        points.update(array.tobytes())
    fetch = asdict(settings.fetch)
    scenes = {key: str(v) if "start" in key else v for key, v in fetch.pop("scenes").items()}
    return {
        "source": {
            "name": settings.source.name,
            "collection": settings.source.collection,
            **settings.source.record(),
        },
        "settings": {
            **fetch,
            "scenes": scenes,
            "locations_per_shard": settings.locations_per_shard,
            "fill": settings.fill,
            "locations": len(locations.location_id),
            "locations_sha256": points.hexdigest(),
        },
    }


@contextmanager
def _cluster(settings: ClusterSettings, computes: bool) -> Iterator[Any]:
    """Connect to the given scheduler, or start a local cluster; yields a Dask client.

    Where requests wait, a local worker has the threads to keep its share of `concurrency` in
    flight; where they compute, more than two would only get in each other's way.
    """
    import dask
    from distributed import Client, LocalCluster

    # Its comings and goings are nobody's news; what matters comes back as exceptions.
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    if settings.scheduler:
        try:
            client = Client(settings.scheduler, timeout="5s", set_as_default=False)
        except (OSError, ValueError, TimeoutError) as error:
            raise InputError(
                f"No Dask scheduler answers: {error}", settings.scheduler, "Check the address"
            ) from error
        with client:
            yield client
        return
    workers = settings.workers or min(os.cpu_count() or 1, MAX_WORKERS)
    workers = min(workers, settings.concurrency)
    threads = -(-_tasks_ahead(settings.concurrency, workers) // workers)
    # Workers inherit "ignore ^C" from this moment: the interrupt is ours to handle, and a worker
    # that dies of it would print its traceback over our message.
    in_main = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGINT, signal.SIG_IGN) if in_main else None
    # Work is handed out a location at a time, so there is nothing to steal or to spill.
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
                host="127.0.0.1",
                dashboard_address=None,
                # Else two downloads on one machine quarrel about port 8787.
                scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},
                silence_logs=logging.CRITICAL,
            )
        finally:
            if in_main:
                signal.signal(signal.SIGINT, before)
        client = Client(cluster, set_as_default=False, direct_to_workers=True)
        try:
            yield client
        finally:
            # Whatever the workers still do is not wanted any more: they are not waited for.
            with suppress(TimeoutError, OSError):
                client.close(timeout=1)
            with suppress(TimeoutError, OSError):
                cluster.close(timeout=2)


def _tasks_ahead(concurrency: int, workers: int) -> int:
    """How many locations are handed out at a time.

    Half as many again as requests in flight, so that these stay as many while some tasks decode
    and encode; but where there are more workers than requests, each one's share is one, and the
    tasks are what caps them.
    """
    return concurrency if workers >= concurrency else concurrency + -(-concurrency // 2)


def _outcomes(
    client: Any,
    remaining: list[Location],
    settings: DownloadSettings,
    cluster: ClusterSettings,
    run: str,
    pulses: dict[str, Pulse],
) -> Iterator[Outcome | None]:
    """Hand out locations and yield their outcomes as they come, and None once a second meanwhile.

    How things stand in the workers is kept in `pulses`, by their addresses.
    """
    from distributed import KilledWorker

    heard: SimpleQueue[tuple[str, Pulse]] = SimpleQueue()

    def hear(event: tuple[float, tuple[str, dict[str, Any]]]) -> None:
        worker, pulse = event[1]
        heard.put((worker, Pulse(**{**pulse, "counts": Counts(**pulse["counts"])})))

    client.subscribe_topic(run, hear)
    ended: SimpleQueue[Any] = SimpleQueue()
    waiting = iter(remaining)
    location_of: dict[str, int] = {}
    workers = _addresses(client)
    asked = time.monotonic()

    def hand_out(count: int) -> None:
        for location in islice(waiting, count):
            future = client.submit(
                _task,
                location,
                (cluster.concurrency, cluster.requests_per_second),
                workers,
                settings.source,
                settings.fetch,
                cluster.retry,
                run,
                pure=False,
            )
            location_of[future.key] = location.location_id
            future.add_done_callback(ended.put)

    hand_out(_tasks_ahead(cluster.concurrency, len(workers)))
    while location_of:
        if time.monotonic() - asked > PULSE_S:
            workers, asked = _addresses(client), time.monotonic()
        while not heard.empty():
            _keep_latest(pulses, *heard.get())
        try:
            future = ended.get(timeout=PULSE_S)
        except Empty:
            yield None
            continue
        hand_out(1)
        location_id = location_of.pop(future.key)
        try:
            outcome, worker, pulse = future.result()
            _keep_latest(pulses, worker, pulse)
        except KilledWorker as error:
            # Three workers died of it (out of memory, a crash in a library): the rest may live.
            detail = f"its workers died: {error}"
            outcome = Outcome(location_id, None, Rejection(location_id, "crash", detail), None)
        future.release()
        yield outcome
    client.unsubscribe_topic(run)


def _keep_latest(pulses: dict[str, Pulse], worker: str, pulse: Pulse) -> None:
    """Keep a worker's latest pulse: they may overtake each other on their ways."""
    before = pulses.get(worker)
    if before is None or before.counts.requests <= pulse.counts.requests:
        pulses[worker] = pulse


def _addresses(client: Any) -> tuple[str, ...]:
    return tuple(sorted(client.nthreads())) or ("",)


class _Keeper:
    """Keeps outcomes in a thread, so that new work is handed out while a shard is written.

    Parameters
    ----------
    workspace : Workspace
    most : int
        Outcomes that may wait; with more, `keep` waits too.
    """

    def __init__(self, workspace: Workspace, most: int) -> None:
        self._workspace = workspace
        self._waiting: Queue[Outcome | None] = Queue(most)
        self._failure: BaseException | None = None
        # A daemon: an interrupt waits for no shard, and what is half written has no name yet.
        self._thread = threading.Thread(target=self._work, daemon=True)

    def __enter__(self) -> _Keeper:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        with suppress(Full):
            self._waiting.put(None, timeout=None if kind is None else STOP_S)
        self._thread.join(None if kind is None else STOP_S)
        if kind is None and self._failure:
            raise self._failure

    def keep(self, outcome: Outcome) -> None:
        """Keep an outcome soon; raises what went wrong with an earlier one."""
        if self._failure:
            raise self._failure
        self._waiting.put(outcome)

    def _work(self) -> None:
        while (outcome := self._waiting.get()) is not None:
            try:
                if not self._failure:
                    self._workspace.keep(outcome)
            except BaseException as error:
                self._failure = error


def _try_to_open(settings: DownloadSettings, cluster: ClusterSettings) -> None:
    """Refuse within seconds, and before anything is written, what cannot be opened."""
    limiter = Limiter(Share(1, cluster.requests_per_second))
    retry = replace(cluster.retry, max_retries=min(3, cluster.retry.max_retries))
    scored(call_with_retries(lambda: settings.source.open(limiter), retry, limiter), settings.fetch)


def download(
    settings: DownloadSettings,
    locations: LocationTable,
    out: str,
    cluster: ClusterSettings,
    on_progress: Callable[[Progress], None],
) -> Progress:
    """Download the stacks of locations into a data set, or resume doing so.

    Parameters
    ----------
    settings : DownloadSettings
        What to download.
    locations : LocationTable
        Where.
    out : str
        Folder or fsspec URL of the data set.
    cluster : ClusterSettings
        How the work is spread.
    on_progress : callable
        Called with the current `Progress` after every location, and once a second meanwhile.

    Returns
    -------
    Progress
        The final state.

    Raises
    ------
    InputError
        When `out` holds something else or the scheduler does not answer.
    RefusedError
        When the service refuses the user; everything finished is kept.
    """
    if settings.fill and not locations.metadata:
        raise InputError(
            "Only locations of 'caco-data sample' can be drawn further", "--fill", "Leave it out"
        )
    if not cluster.scheduler:  # else its workers have the credentials
        _try_to_open(settings, cluster)
    storage = open_storage(out)
    wanted = len(locations.location_id)
    workspace = Workspace(
        storage,
        _describe(settings, locations),
        locations.location_id.tolist(),
        settings.locations_per_shard,
    )
    if workspace.finished:
        counts = read_description(storage)["counts"]
        return Progress(wanted, counts["complete"], Counter(counts["rejected"]))
    progress = Progress(wanted, len(workspace.complete), Counter(workspace.rejected.values()))
    began = time.monotonic()
    run, pulses = f"caco-data-{uuid4().hex}", dict[str, Pulse]()
    with ExitStack() as stack:
        client = None
        while True:
            remaining = _pending(locations, workspace)
            progress.pending = len(remaining)
            on_progress(progress)
            if remaining:
                client = client or stack.enter_context(_cluster(cluster, settings.source.computes))
                with _Keeper(workspace, cluster.concurrency) as keeper:
                    for outcome in _outcomes(client, remaining, settings, cluster, run, pulses):
                        if outcome is not None:
                            keeper.keep(outcome)
                            progress.settle(outcome)
                        progress.heard(pulses.values())
                        progress.elapsed_s = time.monotonic() - began
                        on_progress(progress)
            missing = wanted - len(workspace.complete)
            if not settings.fill or missing <= 0 or not workspace.complete:
                break
            locations = extend(locations.metadata, len(locations.location_id) + missing)
            workspace.extend(locations.location_id.tolist())
    workspace.finish(geoparquet_table(locations))
    return progress


def _pending(locations: LocationTable, workspace: Workspace) -> list[Location]:
    pending = set(workspace.pending)
    rows = zip(
        locations.location_id.tolist(),
        locations.longitude.tolist(),
        locations.latitude.tolist(),
        locations.utm_epsg.tolist(),
        strict=True,
    )
    return [Location(*row) for row in rows if row[0] in pending]
