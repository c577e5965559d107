"""Rounds of disturbances: each ends with a data set that is compared with an undisturbed one."""

from __future__ import annotations

import hashlib
import json
import random
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pyarrow.parquet as pq

from caco_data.dataset.layout import DESCRIPTION, EVENTS, INDEX, REJECTED
from caco_data.dataset.shard_content import iter_contents
from caco_data.dataset.work_folder import WORK, list_work
from caco_data.grid import patch_grid
from caco_data.sampling.location_files import read_locations
from caco_data.sampling.locations import extend
from caco_data.storage import LocalStorage, read_json
from caco_data.types import Location
from tests.support.chaos.disturbances import DISTURBANCES
from tests.support.chaos.processes import (
    ENV,
    WAIT_S,
    ChaosError,
    Client,
    Cluster,
    Server,
    wait_for,
)

PER_SHARD = 4
#: The lock of a folder.
LOCK = ".lock"


@dataclass
class Report:
    """What has happened so far."""

    finished: int = 0
    """Data sets finished and compared."""
    disturbances: Counter[str] = field(default_factory=Counter)
    exit_codes: Counter[int] = field(default_factory=Counter)
    """Clients by exit code."""
    skipped: set[str] = field(default_factory=set)
    """Checks that the test server or the program does not allow."""


def contents(root: Path) -> dict[str, str]:
    """Digest of every file and folder of a data set, except the log of events."""
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        if path.is_file()
        else "folder"
        for path in sorted(root.rglob("*"))
        if path.name != EVENTS
    }


def stored(root: Path) -> set[int]:
    """Locations that are complete or rejected on the disk; no process may be writing there."""
    storage = LocalStorage(root)
    if not storage.exists(DESCRIPTION):
        return set()
    if read_json(storage, DESCRIPTION)["complete"]:
        tables = (pq.read_table(root / name) for name in (INDEX, REJECTED))
        return {i for table in tables for i in table["location_id"].to_pylist()}
    work = list_work(storage)
    found = {*work.parts.tolist(), *work.rejections.tolist()}
    for _, contents in iter_contents(storage, work.contents):
        for content in contents:
            found |= set(content.rows["location_id"].to_pylist())
            found |= {row["location_id"] for row in content.rejected}
    return found


def grid_keys(table: Path) -> dict[int, str]:
    """Name of each location's grid in the counts of the test server, also of replacements."""
    rows = read_locations(table)
    rows = extend(rows.metadata, 2 * len(rows))
    columns = (rows.location_id, rows.longitude, rows.latitude, rows.utm_epsg)
    places = [Location(*row) for row in zip(*(c.tolist() for c in columns), strict=True)]
    grids = {place.location_id: patch_grid(place) for place in places}
    return {i: f"{grid.crs} {grid.left_m} {grid.top_m}" for i, grid in grids.items()}


class Round:
    """One data set and the client that downloads it.

    Parameters
    ----------
    server : Server
    table : Path
        Locations table.
    folder : Path
        Folder of the round, for the data set and the output of the clients.
    rng : random.Random
        Decides when and how to disturb.
    report : Report
        Updated.
    cluster : Cluster, optional
        External workers.
    tmpfs : bool
        Whether the data set is on a small tmpfs, mounted on `folder/disk`, which may be filled.
    """

    def __init__(
        self, server: Server, table: Path, folder: Path, rng: random.Random, report: Report,
        cluster: Cluster | None = None, tmpfs: bool = False,
    ) -> None:  # fmt: skip
        self.server, self.rng, self.report = server, rng, report
        self.cluster, self.tmpfs = cluster, tmpfs
        self.folder = folder
        self.out = folder / "disk" / "dataset"
        self.out.parent.mkdir(parents=True, exist_ok=True)
        self.options = [
            "--ee-url", server.url, "--locations", str(table), "--bands", "B2",
            "--locations-per-shard", str(PER_SHARD), "--concurrency", "8", "--min-complete", "0",
            "--requests-per-second", "2000", "--deadline", "2",
            *(("--scheduler", cluster.address) if cluster else ("--workers", "2")),
        ]  # fmt: skip
        self._keys = grid_keys(table)
        self.start()

    def start(self) -> None:
        """Start a client."""
        self._stored = stored(self.out)
        self._grids = self.server.counts("grids")
        self._requests = self.server.counts("requests").total()
        self._codes = {0}
        self.client = Client(self.options, self.out, self.folder / "client.log")
        self._ended = False

    def end(self) -> None:
        """Wait until the client ends; check its exit code and that it fetched nothing twice."""
        if self._ended:
            return
        code = self.client.wait()
        self._ended = True
        text = self.client.text
        self.report.exit_codes[code] += 1
        # Python no longer handles signals while it exits.
        exiting = self.complete and code in {-signal.SIGINT, -signal.SIGTERM}
        self.check(code in self._codes or exiting, f"the client exits {code}: {text[-2000:]}")
        self.check("Traceback" not in text, text[-4000:])
        grids = self.server.counts("grids")
        if not grids:
            self.report.skipped.add("nothing is fetched twice: the server does not count by grid")
        read = {i: grids[self._keys[i]] - self._grids[self._keys[i]] for i in self._stored}
        # A client may read one tile of a stored location to check whether it can read any.
        trial = min(self._stored, default=-1)
        again = {i for i, n in read.items() if n > (i == trial)}
        self.check(not again, f"fetched again: locations {sorted(again)}")

    def check(self, good: bool, what: str) -> None:
        """Raise ChaosError if something is wrong."""
        if not good:
            raise ChaosError(f"{self.out}: {what}")

    @property
    def requested(self) -> bool:
        """Whether the client has sent a request."""
        return self.server.counts("requests").total() > self._requests

    @property
    def locked(self) -> bool:
        """Whether the client has locked the folder."""
        try:
            return bool(json.loads((self.out / LOCK).read_text())["pid"] == self.client.pid)
        except (FileNotFoundError, ValueError):  # not, or not yet, written
            return False

    @property
    def complete(self) -> bool:
        """Whether the data set is finished."""
        storage = LocalStorage(self.out)
        return storage.exists(DESCRIPTION) and read_json(storage, DESCRIPTION)["complete"]

    def workers(self) -> list[psutil.Process]:
        """Worker processes of the client."""
        return self.cluster.workers() if self.cluster else self.client.workers()

    def settled(self) -> int:
        """Approximate number of stored locations of an unfinished data set."""
        names = [path.name for path in self.out.glob(f"{WORK}/*")]
        parts = sum(bool(re.fullmatch(r"\d{9}\.(tar|rejected\.json)", name)) for name in names)
        return parts + PER_SHARD * sum(name.endswith(".parquet") for name in names)

    def progress(self, locations: int, limit_s: float = WAIT_S) -> None:
        """Wait until some more locations are stored, the client ends, or the time is over."""
        target = self.settled() + locations
        with suppress(ChaosError):
            wait_for(lambda: self.settled() >= target or not self.client.running, "", limit_s)

    def disturb(self, kind: str) -> None:
        """Disturb the client after a random number of locations; start one if none is running."""
        if not self.client.running:
            self.end()
            if self.complete:
                return
            self.start()
        self.progress(self.rng.randint(0, 3))
        disturbance = DISTURBANCES[kind]
        self._codes |= disturbance.codes
        self.report.disturbances[kind] += 1
        disturbance.apply(self)

    def finish(self, whole: Path) -> None:
        """Let the last client end, run another one undisturbed, and compare with a data set."""
        self.end()
        self.start()
        self.end()
        verify = [sys.executable, "-m", "caco_data.cli", "verify", str(self.out)]
        done = subprocess.run(verify, env=ENV, capture_output=True, text=True)
        self.check(done.returncode == 0, f"verify: {done.stdout} {done.stderr}")
        different = set(contents(self.out).items()) ^ set(contents(whole).items())
        names = sorted({name for name, _ in different})
        self.check(not names, f"differs from {whole}: {', '.join(names[:20])}")
        self.report.finished += 1

    def play(self, kinds: Iterable[str], whole: Path) -> None:
        """Disturb in several ways, finish and compare.

        Raises
        ------
        ChaosError
            When anything is wrong.
        """
        try:
            for kind in kinds:
                self.disturb(kind)
            self.finish(whole)
        except ChaosError:
            with suppress(OSError):  # a tmpfs does not remain
                shutil.copy(self.out / EVENTS, self.folder)
            raise
        finally:
            self.client.stop()
