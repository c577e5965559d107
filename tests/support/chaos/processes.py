"""Processes that are disturbed: the Earth Engine test server, the client, a Dask cluster."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import psutil

from tests.support import ROOT
from tests.support.earthengine.faults import FaultPlan

#: Limit on waiting for a process, seconds: generous, for busy machines.
WAIT_S = 300.0
POLL_S = 0.01
ENV = {**os.environ, "PYTHONPATH": str(ROOT)}


class ChaosError(Exception):
    """A download that did not do what it should."""


def wait_for(condition: Callable[[], Any], what: str, limit_s: float = WAIT_S) -> None:
    """Wait until a condition is true."""
    deadline = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > deadline:
            raise ChaosError(f"waited {limit_s:g} s: {what}")
        time.sleep(POLL_S)


def free_port() -> int:
    """Return a port that is free at the moment."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


class Server:
    """The test server; it can be killed and started again on its port.

    Parameters
    ----------
    options : str
        Further options of `python -m tests.support.earthengine`.
    """

    def __init__(self, *options: str) -> None:
        self._options = options
        self._port = free_port()
        self._earlier: dict[str, Counter[str]] = {}
        self.url = f"http://127.0.0.1:{self._port}"
        self.start()

    def start(self) -> None:
        """Start the process."""
        command = [sys.executable, "-m", "tests.support.earthengine", "--port", str(self._port)]
        self._process = subprocess.Popen(
            [*command, *self._options], env=ENV, cwd=ROOT, stdout=subprocess.PIPE
        )
        assert self._process.stdout is not None
        if not self._process.stdout.readline():
            raise ChaosError("the test server does not start")

    def kill(self) -> None:
        """Kill the process; its counts are kept."""
        self._earlier = {name: self.counts(name) for name in ("requests", "faults", "grids")}
        self.stop()

    def stop(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()

    def put(self, plan: FaultPlan) -> None:
        """Replace the plan of faults."""
        urlopen(Request(f"{self.url}/faults", plan.to_json().encode(), method="PUT")).close()

    def counts(self, name: str) -> Counter[str]:
        """Counts of all processes so far: `requests`, `faults` or pixel requests by `grids`."""
        found: dict[str, Any] = {}
        with suppress(OSError), urlopen(f"{self.url}/counters") as response:
            found = json.load(response).get(name, {})
        # Each grid has counts by image.
        counts = {key: n if isinstance(n, int) else sum(n.values()) for key, n in found.items()}
        return self._earlier.get(name, Counter()) + Counter(counts)


class Client:
    """A `caco-data download` process in its own process group."""

    def __init__(self, options: list[str], out: Path, log: Path) -> None:
        self.out = out
        self._log = log
        command = [sys.executable, "-m", "caco_data.cli", "download", "--out", str(out), *options]
        with log.open("wb") as file:
            self._process = psutil.Popen(
                command, env=ENV, stdout=file, stderr=file, start_new_session=True
            )
        self.pid = int(self._process.pid)
        self._workers: dict[int, psutil.Process] = {}

    @property
    def running(self) -> bool:
        """Whether the process has not ended."""
        return bool(self._process.poll() is None)

    @property
    def text(self) -> str:
        """Its output."""
        return self._log.read_text()

    def workers(self) -> list[psutil.Process]:
        """Worker processes of its local Dask cluster."""
        try:
            children = self._process.children(recursive=True)
            found = [x for x in children if any("spawn_main" in part for part in x.cmdline())]
        except psutil.Error:
            return []
        self._workers.update((x.pid, x) for x in found)
        return found

    def signal(self, number: int, group: bool = False) -> None:
        """Send a signal to the process, or to its process group as a terminal does."""
        self.workers()
        with suppress(ProcessLookupError):
            os.killpg(self.pid, number) if group else os.kill(self.pid, number)

    def wait(self) -> int:
        """Wait until the process and its workers have ended; return its exit code."""
        wait_for(lambda: not self.running, f"the client does not end: {self.text[-2000:]}")
        code = int(self._process.wait())
        _, alive = psutil.wait_procs(list(self._workers.values()), WAIT_S / 5)
        if alive:
            raise ChaosError(f"worker processes remain {WAIT_S / 5:g} s after their client")
        return code

    def stop(self) -> None:
        """End the process and its workers."""
        self.workers()
        for process in [self._process, *self._workers.values()]:
            with suppress(psutil.Error):
                process.kill()
        self._process.wait()


class Cluster:
    """A Dask scheduler on a fixed port and two workers, as started by a user."""

    def __init__(self) -> None:
        self._port = free_port()
        self.address = f"tcp://127.0.0.1:{self._port}"
        self._processes: list[psutil.Popen] = []
        self.start()

    def _run(self, program: str, *options: str) -> None:
        command = [sys.executable, "-m", f"distributed.cli.{program}", *options]
        self._processes.append(
            psutil.Popen(command, env=ENV, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        )

    def start(self) -> None:
        """Start all processes."""
        port = str(self._port)
        self._run("dask_scheduler", "--host", "127.0.0.1", "--port", port, "--no-dashboard")
        wait_for(self._listens, "the scheduler does not start")
        for _ in range(2):
            self.add_worker()

    def _listens(self) -> bool:
        with socket.socket() as one:
            return one.connect_ex(("127.0.0.1", self._port)) == 0

    def add_worker(self) -> None:
        """Start a worker."""
        self._run("dask_worker", self.address, "--nthreads", "4", "--no-nanny", "--no-dashboard")

    def workers(self) -> list[psutil.Process]:
        """Running worker processes."""
        return [x for x in self._processes[1:] if x.poll() is None]

    def kill(self) -> None:
        """Kill all processes, the scheduler first."""
        for process in self._processes:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
                process.wait()
        self._processes.clear()
