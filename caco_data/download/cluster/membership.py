"""Which workers of a cluster take part in a run.

A worker is given tasks only after it has shown that it runs the same Python and the same code as
this process: other code could write other bytes without an error. Workers may join and leave at any
time.
"""

from __future__ import annotations

import logging
import platform
import threading
import time
from collections.abc import Callable
from typing import Any

import cloudpickle
from distributed import Client, LocalCluster

from caco_data.download.cluster import identity as identity_module
from caco_data.download.cluster.identity import difference, identity
from caco_data.download.cluster.plugin import RunPlugin, install, set_share
from caco_data.download.cluster.shares import Command, Shares
from caco_data.download.outage import MESSAGE_EVERY_S, duration
from caco_data.errors import RefusedError

_log = logging.getLogger(__name__)
#: Seconds between two looks at the list of workers before the first one is admitted.
_POLL_S = 0.1
#: Seconds without a worker after which the first message is logged.
_FIRST_MESSAGE_S = 5.0
#: Minimum time for the admission of connected workers, seconds.
_ADMISSION_S = 60.0
#: Seconds between two attempts to start lost workers of a local cluster again.
_REPLACE_EVERY_S = 5.0
_REMEDY = "run the same command again; finished locations are kept"


class Membership:
    """The workers that take part in a run.

    Parameters
    ----------
    client : distributed.Client
        Connected to the scheduler.
    plugin : RunPlugin
        Installed in every admitted worker.
    where : str
        The scheduler, for messages; empty for a local cluster.
    max_wait_s : float
        Maximum time without any worker, seconds.
    """

    def __init__(self, client: Client, plugin: RunPlugin, where: str, max_wait_s: float) -> None:
        self.members: tuple[str, ...] = ()
        """Addresses of the workers that may be given tasks, sorted."""
        self._client = client
        self._plugin = plugin
        self._where = where
        self._max_wait_s = max_wait_s
        self._lock = threading.Lock()
        self._shares = Shares()
        self._refused: dict[str, str] = {}
        self._task: threading.Thread | None = None
        self._alone_since = time.monotonic()
        self._messages = 0
        self._replace_at = self._alone_since + _REPLACE_EVERY_S

    def wait(self) -> None:
        """Wait until workers have been admitted.

        Raises
        ------
        RefusedError
            When a worker runs other software, or there is no worker for too long.
        """
        while not self.members:
            self.update()
            for address, reason in self._refused.items():
                raise RefusedError(
                    f"Worker {address} cannot be used: {reason}",
                    self._where,
                    f"Install the same software on all workers, then {_REMEDY}",
                )
            time.sleep(_POLL_S)

    def update(self) -> None:
        """Compare the members with the connected workers; admit new ones in the background.

        Raises
        ------
        RefusedError
            When there has been no worker for too long.
        """
        now = time.monotonic()
        connected = set(self._client.nthreads())
        for address in set(self.members) - connected:
            self.lose(address)
        if self._task is None or not self._task.is_alive():
            with self._lock:
                self._refused = {a: why for a, why in self._refused.items() if a in connected}
                new = sorted(connected - {*self._shares.known, *self._refused})
            # In the background: a worker that does not answer does not stop the others.
            self._task = threading.Thread(target=self._work, args=(new,), daemon=True)
            self._task.start()
        if now >= self._replace_at:
            self._replace_at = now + _REPLACE_EVERY_S
            self._replace()
        self._watch(now, bool(connected))

    def lose(self, address: str) -> None:
        """Stop giving tasks to a worker."""
        with self._lock:
            self._shares.lose(address, time.monotonic())
            self.members = tuple(a for a in self.members if a != address)
            left = len(self.members)
        self._alone_since = time.monotonic()
        by = f"by {left} others" if left else "once there is another one"
        _log.warning("worker %s is lost; its locations are fetched again %s", address, by)

    def _replace(self) -> None:
        """Start workers again that the local cluster has given up.

        Dask does not restart a process that ends while it starts, or that starts too slowly.
        """
        if isinstance(self._client.cluster, LocalCluster):
            self._client.cluster.scale(len(self._client.cluster.worker_spec))

    def _watch(self, now: float, connected: bool) -> None:
        """Log a message once per minute while there is no worker, and raise an error at the end."""
        if self.members:
            self._messages = 0
            return
        seconds = now - self._alone_since
        if seconds > max(self._max_wait_s, _ADMISSION_S if connected else 0.0):
            raise RefusedError(
                f"No worker has been available for {duration(seconds)}",
                self._where,
                f"Start workers or use a longer --max-outage, then {_REMEDY}",
            )
        if seconds >= _FIRST_MESSAGE_S + self._messages * MESSAGE_EVERY_S:
            self._messages += 1
            _log.warning(
                "no worker is available%s; waiting for up to %s",
                f" at {self._where}" if self._where else "",
                duration(self._max_wait_s),
            )

    def _work(self, new: list[str]) -> None:
        """Admit workers, and tell all of them what has changed."""
        try:
            accepted = self._accepted(new) if new else []
            with self._lock:
                self._shares.join(accepted)
            while command := self._next():
                recipients, sharing = command
                self._client.run(
                    *(set_share, self._plugin.name, sharing),
                    workers=list(recipients),
                    on_error="ignore",
                )
            with self._lock:
                self.members = self._shares.members
        except Exception as error:  # the connection to the scheduler is lost: see `update`
            _log.debug("workers are not admitted: %s", error)

    def _next(self) -> Command | None:
        with self._lock:
            return self._shares.next(time.monotonic())

    def _accepted(self, addresses: list[str]) -> list[str]:
        """Compare the software of workers with this one's; install the plugin where it is equal."""
        run = self._client.run
        # Before any other code: byte code can be sent only to the same version of Python.
        pythons = run(platform.python_version, workers=addresses, on_error="return")
        same = self._filter(pythons, _python_difference)
        cloudpickle.register_pickle_by_value(identity_module)
        try:
            found = run(identity, workers=same, on_error="return")
        finally:
            cloudpickle.unregister_pickle_by_value(identity_module)
        mine = identity()
        same = self._filter(found, lambda there: difference(mine, there))
        installed = run(install, self._plugin, workers=same, on_error="return")
        return self._filter(installed, lambda _: "")

    def _filter(self, answers: dict[str, Any], problem: Callable[[Any], str]) -> list[str]:
        """Addresses of the workers without a problem; the others are refused.

        Those that could not be reached are left out: they are tried again while they are connected.
        """
        accepted = []
        for address, answer in answers.items():
            if isinstance(answer, OSError):
                continue
            failed = isinstance(answer, Exception)
            reason = f"{type(answer).__name__}: {answer}" if failed else problem(answer)
            if not reason:
                accepted.append(address)
                continue
            with self._lock:
                self._refused[address] = reason
            if self.members:
                _log.warning("worker %s is not used: %s", address, reason)
        return sorted(accepted)


def _python_difference(there: str) -> str:
    here = platform.python_version()
    if here.split(".")[:2] == there.split(".")[:2]:
        return ""
    return f"it runs Python {there}, and this process Python {here}"
