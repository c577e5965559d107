"""Disturbances of a running download, and the exit codes that each may cause."""

from __future__ import annotations

import resource
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psutil

from tests.support.chaos.processes import Client, wait_for
from tests.support.earthengine.faults import KINDS, FaultPlan

if TYPE_CHECKING:
    from tests.support.chaos.rounds import Round

#: Locations that are stored while a worker is paused, and seconds after which it continues anyway.
PAUSE_LOCATIONS, PAUSE_S = 2, 5.0
#: Faults that are served before they are switched off, and seconds after which they are anyway.
FAULTS, FAULTS_S = 10, 20.0


def kill_client(here: Round) -> None:
    """Kill the client, which cannot handle it."""
    here.client.signal(signal.SIGKILL)
    here.end()


def interrupt_client(here: Round) -> None:
    """Interrupt like a terminal (the whole process group), a user or a job scheduler."""
    wait_for(lambda: here.requested or not here.client.running, "the client sends no request")
    number = here.rng.choice([signal.SIGINT, signal.SIGTERM])
    here.client.signal(number, group=number == signal.SIGINT and here.rng.random() < 0.5)
    here.end()


def kill_worker(here: Round) -> None:
    """Kill a worker process; an external one is started again, a local one by its nanny."""
    if workers := here.workers():
        with suppress(psutil.Error):
            here.rng.choice(workers).kill()
    if here.cluster:
        here.cluster.add_worker()


def pause_worker(here: Round) -> None:
    """Stop a worker process for some time; the others continue."""
    if not (workers := here.workers()):
        return
    worker = here.rng.choice(workers)
    with suppress(psutil.Error):
        worker.suspend()
        here.progress(PAUSE_LOCATIONS, PAUSE_S)
        worker.resume()


def kill_scheduler(here: Round) -> None:
    """Kill an external scheduler and its workers, and start them again."""
    if here.cluster:
        here.cluster.kill()
        here.cluster.start()


def fill_disk(here: Round) -> None:
    """Make writes fail until the client ends, with one of two errors.

    EFBIG: the size of the client's files is limited, to less than a location or to less than a
    shard. ENOSPC: the data set is on a small tmpfs, which is filled; this requires root.
    """
    if here.tmpfs:
        ballast = here.out.parent / "ballast"
        with suppress(OSError), ballast.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(1 << 16))
                file.flush()
        here.end()
        ballast.unlink()
        return
    limit = here.rng.choice([50_000, 2_000_000])
    with suppress(ProcessLookupError):
        resource.prlimit(here.client.pid, resource.RLIMIT_FSIZE, (limit, limit))
    here.end()


#: Listings in which one entry is spoilt: the program correctly skips that scene, so that the data
#: set differs.
_SPOILT_ENTRY = {"two_vertices", "no_area", "infinite_vertex", "nan_clouds", "self_crossing"}
#: Faults that are about one request as long as others succeed: another scene is correctly read.
_ONE_REQUEST = {
    "400_missing_band", "400_unknown", "413", "float_band", "above_uint16", "no_bands",
    "repeated_token", "endless_pages",
}  # fmt: skip


def serve_faults(here: Round) -> None:
    """Let a part of the requests fail, in one way or in several."""
    possible = [kind for kind in KINDS if kind not in _SPOILT_ENTRY | _ONE_REQUEST]
    kinds = here.rng.sample(possible, here.rng.randint(1, 4))
    _fault(here, FaultPlan(dict.fromkeys(kinds, 0.3 / len(kinds)), here.rng.randrange(99)))


def serve_faults_only(here: Round) -> None:
    """Let every request fail."""
    kind = here.rng.choice([kind for kind in KINDS if kind not in _SPOILT_ENTRY])
    _fault(here, FaultPlan({kind: 1.0}, retry_after_s=0.5, stall_s=1.0))


def _fault(here: Round, plan: FaultPlan) -> None:
    before = here.server.counts("faults").total()
    here.server.put(plan)
    deadline = time.monotonic() + FAULTS_S
    while here.client.running and time.monotonic() < deadline:
        if here.server.counts("faults").total() >= before + FAULTS:
            break
        time.sleep(0.05)
    here.server.put(FaultPlan())


def exhaust_quota(here: Round) -> None:
    """Refuse all requests after some more, until the client ends."""
    here.server.put(FaultPlan(quota=here.rng.randrange(20)))
    here.end()
    here.server.put(FaultPlan())


def restart_server(here: Round) -> None:
    """Kill the server and start it again on the same port."""
    here.server.kill()
    time.sleep(here.rng.uniform(0.2, 3.0))
    here.server.start()


def start_second(here: Round) -> None:
    """Start a second download into the same folder: it must exit with code 2 and name the first.

    The first one is paused meanwhile, so that it does not end.
    """
    wait_for(lambda: here.locked or not here.client.running, "the client locks nothing", 60.0)
    here.client.signal(signal.SIGSTOP)
    try:
        if here.locked:
            second = Client(here.options, here.out, here.folder / "second.log")
            code = second.wait()
            here.check(code == 2, f"a second download exits {code}: {second.text}")
            here.check(str(here.client.pid) in second.text, f"unnamed holder: {second.text}")
    finally:
        here.client.signal(signal.SIGCONT)


@dataclass(frozen=True)
class Disturbance:
    """A kind of disturbance."""

    apply: Callable[[Round], None]
    codes: frozenset[int] = frozenset()
    """Exit codes of the client that it may cause, in addition to 0."""
    external: bool | None = None
    """Whether it requires an external cluster, or a local one; None for either."""


#: Exit codes of failing requests: a proxy's response at the opening, pending locations, a refusal.
_FAILED = frozenset({2, 3, 4})
#: All kinds by name.
DISTURBANCES = {
    "client killed": Disturbance(kill_client, frozenset({-signal.SIGKILL})),
    "client interrupted": Disturbance(interrupt_client, frozenset({130})),
    "worker killed": Disturbance(kill_worker),
    "worker paused": Disturbance(pause_worker),
    "scheduler killed": Disturbance(kill_scheduler, frozenset({2, 4}), external=True),
    "disk full": Disturbance(fill_disk, frozenset({2})),
    "some faults": Disturbance(serve_faults, _FAILED),
    "only faults": Disturbance(serve_faults_only, _FAILED),
    "quota exhausted": Disturbance(exhaust_quota, frozenset({4})),
    "server restarted": Disturbance(restart_server, _FAILED),
    "second download": Disturbance(start_second),
}
