"""A Dask scheduler and workers, started as separate processes like by a user."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.support import ROOT

#: Limit on waiting for the scheduler, seconds: generous, for busy machines.
WAIT_S = 120
#: Hides the package from a worker, as if it was not installed.
WITHOUT_PACKAGE = "import sys; sys.modules['caco_data'] = None;"


@dataclass
class DaskCluster:
    """Processes of a cluster."""

    folder: Path
    """Folder of the scheduler file."""
    options: tuple[str, ...] = ()
    """Options of all processes, such as those of TLS."""
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Start the scheduler."""
        host = () if self.options else ("--host", "127.0.0.1")
        self.scheduler = self._start("scheduler", *host, "--port", "0")
        deadline = time.monotonic() + WAIT_S
        # The scheduler creates the file before it writes the text, which ends with a brace.
        while not (self.file.exists() and self.file.read_text().endswith("}")):
            assert time.monotonic() < deadline
            assert self.scheduler.poll() is None
            time.sleep(0.1)

    @property
    def file(self) -> Path:
        """The scheduler file."""
        return self.folder / "scheduler.json"

    @property
    def address(self) -> str:
        """Address of the scheduler."""
        return str(json.loads(self.file.read_text())["address"])

    def add_worker(self, threads: int, package: Path = ROOT, before: str = "") -> None:
        """Start a worker.

        Parameters
        ----------
        threads : int
            Number of threads.
        package : Path
            Folder that contains the package `caco_data`.
        before : str
            Statements executed before the worker is started.
        """
        options = ("--nthreads", str(threads), "--no-nanny")
        self.workers.append(self._start("worker", *options, package=package, before=before))

    def kill_workers(self) -> None:
        """Kill all workers."""
        for worker in self.workers:
            worker.kill()
            worker.wait(20)
        self.workers.clear()

    def stop(self) -> None:
        """Kill all processes."""
        self.scheduler.kill()
        self.scheduler.wait(20)
        self.kill_workers()

    def _start(
        self, program: str, *options: str, package: Path = ROOT, before: str = ""
    ) -> subprocess.Popen[bytes]:
        code = f"{before}from distributed.cli.dask_{program} import main; main()"
        common = ("--scheduler-file", str(self.file), "--no-dashboard", *self.options)
        command = [sys.executable, "-c", code, *options, *common]
        env = {**os.environ, "PYTHONPATH": str(package)}
        return subprocess.Popen(command, env=env, cwd=self.folder, stderr=subprocess.DEVNULL)


@contextmanager
def external_cluster(
    folder: Path, threads: tuple[int, ...], options: tuple[str, ...] = ()
) -> Iterator[DaskCluster]:
    """Start a scheduler, and one worker for each number of threads."""
    cluster = DaskCluster(folder, options)
    try:
        for number in threads:
            cluster.add_worker(number)
        yield cluster
    finally:
        cluster.stop()
