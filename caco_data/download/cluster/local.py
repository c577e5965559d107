"""A cluster on this machine, for one run."""

from __future__ import annotations

import atexit
import logging
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from typing import Any

import dask
from distributed import Client, LocalCluster, Security

from caco_data.download.cluster.shares import tasks_ahead
from caco_data.download.settings import MAX_WORKERS, ClusterSettings

# At the end of the process, an interrupt of Dask's clean-up would print a traceback. Functions are
# called in reverse order of their registration: this one before Dask's.
atexit.register(signal.signal, signal.SIGINT, signal.SIG_IGN)
#: Level of a logger that logs nothing.
SILENT = logging.CRITICAL + 1
#: By default glibc returns the memory of every tile-sized array to the system, and Dask's settings
#: make it return smaller blocks too; allocating it again caused page faults that took longer than
#: the work itself.
_MALLOC = {
    "MALLOC_TRIM_THRESHOLD_": 1 << 28,
    "MALLOC_MMAP_THRESHOLD_": 1 << 25,
    # One arena per thread would keep the freed memory of every thread separately.
    "MALLOC_ARENA_MAX": 2,
    "OMP_NUM_THREADS": 1,
    "MKL_NUM_THREADS": 1,
    "OPENBLAS_NUM_THREADS": 1,
}


@contextmanager
def local_cluster(settings: ClusterSettings, computes: bool) -> Iterator[Client]:
    """Start a cluster on this machine.

    A worker has enough threads for its share of `concurrency` when requests wait for a service,
    but at most two when the source computes the images: more would compete for the processor.
    """
    workers = settings.workers or min(os.cpu_count() or 1, MAX_WORKERS)
    workers = min(workers, settings.concurrency)
    threads = -(-tasks_ahead(settings.concurrency, workers) // workers)
    # No work stealing and no spilling: tasks are submitted only when workers become free.
    with dask.config.set(
        {
            "distributed.worker.memory.target": False,
            "distributed.worker.memory.spill": False,
            "distributed.scheduler.work-stealing": False,
            "distributed.comm.compression": None,
            # Measurements for Dask's dashboard, which is not started; the profiler looks at the
            # stack of every thread 100 times per second.
            "distributed.worker.profile.enabled": False,
            "distributed.admin.system-monitor.interval": "10s",
            "distributed.admin.tick.interval": "1s",
            "distributed.nanny.pre-spawn-environ": _MALLOC,
        }
    ):
        cluster: Any = None
        client: Any = None
        try:
            with _interrupts_postponed():
                cluster = LocalCluster(
                    n_workers=workers,
                    threads_per_worker=min(threads, 2) if computes else threads,
                    processes=True,
                    # Certificates of this run only: without them, every user of this machine could
                    # run code in the workers.
                    host="tls://127.0.0.1",
                    security=Security.temporary(),
                    dashboard_address=None,
                    # A free port: only one download per machine could use the default port 8787.
                    scheduler_kwargs={"dashboard_address": "127.0.0.1:0", "dashboard": False},
                    silence_logs=SILENT,
                )
                cluster.scheduler.http_server.stop()
                client = Client(cluster, set_as_default=False, direct_to_workers=True)
            yield client
        finally:
            # Do not wait for tasks that are still running: their results are no longer needed.
            for opened, timeout_s in ((client, 1), (cluster, 2)):
                if opened is not None:
                    with suppress(TimeoutError, OSError):
                        opened.close(timeout=timeout_s)


@contextmanager
def _interrupts_postponed() -> Iterator[None]:
    """Postpone SIGINT and SIGTERM: Dask prints tracebacks when its start is interrupted.

    Processes started within it ignore SIGINT: this process handles it, and a worker that is
    interrupted would print a traceback.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    received: list[int] = []
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {n: signal.signal(n, lambda number, _: received.append(number)) for n in numbers}
    # Its start would unblock the signals.
    resource_tracker.ensure_running()
    # New threads and processes inherit that SIGINT is blocked.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    except Exception:  # SIGTERM may also have ended the workers
        if not received:
            raise
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        for number, handler in before.items():
            signal.signal(number, handler)
    if received:
        signal.raise_signal(received[0])
