"""Locations to outcomes over Dask workers: the only module that imports dask.

One task is one location, and makes one request at a time. Every task carries its worker's share of
the caps, so that they hold over all workers together, also when workers come and go. A few tasks
more than `concurrency` are handed out: while one decodes, another's request is in flight. Memory is
bounded by the work in flight, and a worker's results wait for nobody.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from functools import lru_cache
from itertools import islice
from queue import Empty, SimpleQueue
from typing import Any

from caco_data.download.fetch import fetch_location
from caco_data.download.settings import MAX_WORKERS, ClusterSettings, FetchSettings
from caco_data.errors import InputError
from caco_data.sources.base import ImageSource, SourceSettings
from caco_data.sources.limiter import Limiter, Share
from caco_data.sources.retry import RetryPolicy, call_with_retries
from caco_data.sources.tally import PULSE_S, Counts, Pulse
from caco_data.types import Location, Outcome, Rejection

_log = logging.getLogger(__name__)
#: glibc gives every array of a tile's size back to the system, and Dask makes it keener still; the
#: page faults of asking for it again took more time than the work.
_MALLOC = {
    "MALLOC_TRIM_THRESHOLD_": 1 << 28,
    "MALLOC_MMAP_THRESHOLD_": 1 << 25,
    "OMP_NUM_THREADS": 1,
    "MKL_NUM_THREADS": 1,
    "OPENBLAS_NUM_THREADS": 1,
}


@contextmanager
def connect(settings: ClusterSettings, computes: bool) -> Iterator[Any]:
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
            threads = sum(client.nthreads().values())
            if threads < settings.concurrency:
                _log.warning(
                    "%s: %d worker threads now, so no more than %d of %d requests in flight",
                    *(settings.scheduler, threads, threads, settings.concurrency),
                )
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


def _tasks_ahead(concurrency: int, workers: int) -> int:
    """How many locations are handed out at a time.

    Half as many again as requests in flight, so that these stay as many while some tasks decode
    and encode; but where there are more workers than requests, each one's share is one, and the
    tasks are what caps them.
    """
    return concurrency if workers >= concurrency else concurrency + -(-concurrency // 2)


def outcomes(
    client: Any,
    locations: list[Location],
    source: SourceSettings,
    fetch: FetchSettings,
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
    waiting = iter(locations)
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
                source,
                fetch,
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
