"""A Dask scheduler and two workers, started as separate processes like by a user."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support import ROOT

#: Limit on waiting for the scheduler, seconds: generous, for busy machines.
WAIT_S = 120


@contextmanager
def external_cluster(folder: Path, threads_per_worker: int) -> Iterator[str]:
    """Start the processes; yields the address of the scheduler."""
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    file = folder / "scheduler.json"
    where = ["--scheduler-file", str(file), "--no-dashboard"]
    scheduler = ["dask_scheduler", "--host", "127.0.0.1", "--port", "0", *where]
    worker = ["dask_worker", "--nthreads", str(threads_per_worker), "--no-nanny", *where]
    started = []
    try:
        for program, *options in (scheduler, worker, worker):
            command = [sys.executable, "-m", f"distributed.cli.{program}", *options]
            started.append(subprocess.Popen(command, env=env, stderr=subprocess.DEVNULL))
        deadline = time.monotonic() + WAIT_S
        while not file.exists():
            assert time.monotonic() < deadline
            time.sleep(0.1)
        yield json.loads(file.read_text())["address"]
    finally:
        for process in started:
            process.kill()
            process.wait(20)
