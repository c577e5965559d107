"""A cluster on this machine, for one run."""

from __future__ import annotations

import atexit
import logging
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
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
            # Measurements for Dask's dashboard, which is not started; the profiler looks at the
            # stack of every thread 100 times per second.
            "distributed.worker.profile.enabled": False,
            "distributed.admin.system-monitor.interval": "10s",
            "distributed.admin.tick.interval": "1s",
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
                silence_logs=SILENT,
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
