"""Disturb real downloads at random for minutes or hours; check that nothing is lost.

python -m benchmarks.chaos --minutes 120 --seed 0

A server process implements Earth Engine's API, and `caco-data download` processes fetch from it.
They are killed, interrupted and paused, also an external Dask scheduler and its workers; the server
fails in every way that it can, and is killed; the disk fills up; a second download starts on the
same folder. In the end, each data set must be equal to an undisturbed one, byte for byte, and
`caco-data verify` must find nothing; no temporary file, lock or process may remain, and no client
may fetch a location that was stored before it started. The exit code is 1 if anything is wrong.

A full disk is simulated by a limit on the size of the client's files (`RLIMIT_FSIZE`), and as root
on Linux also by a small tmpfs, which is filled.
"""

from __future__ import annotations

import argparse
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # to run as a script

from caco_data.sampling.location_files import write_locations
from caco_data.sampling.locations import sample_locations
from caco_data.sampling.settings import SampleSettings
from tests.support.chaos.disturbances import DISTURBANCES
from tests.support.chaos.processes import ChaosError, Cluster, Server
from tests.support.chaos.rounds import Report, Round

#: Fractions of the rounds with an external cluster, and with the data set on a tmpfs.
EXTERNAL, TMPFS = 0.25, 0.25


@contextmanager
def small_disk(folder: Path, nbytes: int) -> Iterator[bool]:
    """Mount a tmpfs on `folder/disk` if that is permitted; yields whether it is."""
    disk = folder / "disk"
    disk.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={nbytes}", "tmpfs", str(disk)]
    mounted = subprocess.run(command, stderr=subprocess.DEVNULL).returncode == 0
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(disk)], check=True)


def one_round(
    server: Server, table: Path, whole: Path, folder: Path, rng: random.Random, report: Report
) -> None:
    """Disturb one download in several ways."""
    cluster = Cluster() if rng.random() < EXTERNAL else None
    kinds = [
        name
        for name, kind in DISTURBANCES.items()
        if kind.external is None or kind.external == (cluster is not None)
    ]
    if find_spec("caco_data.folder_lock") is None:
        kinds.remove("second download")
    chosen = rng.choices(kinds, k=rng.randint(3, 8))
    print(f"{folder.name}: {', '.join(chosen)}", flush=True)
    try:
        if rng.random() < TMPFS:
            nbytes = 2 * sum(path.stat().st_size for path in whole.rglob("*")) + (32 << 20)
            with small_disk(folder, nbytes) as tmpfs:
                Round(server, table, folder, rng, report, cluster, tmpfs).play(chosen, whole)
        else:
            Round(server, table, folder, rng, report, cluster).play(chosen, whole)
    finally:
        if cluster:
            cluster.kill()


def counted(counts: Counter[str] | Counter[int]) -> str:
    """Counts in one line."""
    return ", ".join(f"{name} {n}" for name, n in sorted(counts.items())) or "none"


def main() -> int:
    """Run rounds until the time is over and print a report; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10.0, help="start no round after this")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--locations", type=int, default=200, help="per data set")
    parser.add_argument("--source", choices=("flat", "simulated"), default="flat")
    parser.add_argument("--keep", metavar="FOLDER", help="keep all data sets in this folder")
    args = parser.parse_args()
    began = time.monotonic()
    root = Path(args.keep or tempfile.mkdtemp(prefix="chaos-")).resolve()
    root.mkdir(parents=True, exist_ok=True)
    table = root / "locations.parquet"
    write_locations(sample_locations(SampleSettings(), args.locations), table)
    report, failure = Report(), ""
    server = Server("--source", args.source, "--latency-ms", "20")
    try:
        undisturbed = Round(server, table, root / "undisturbed", random.Random(0), Report())
        undisturbed.end()
        number = 0
        while time.monotonic() - began < 60 * args.minutes:
            number += 1
            folder = root / f"round{number:04d}"
            rng = random.Random(f"{args.seed} {number}")
            one_round(server, table, undisturbed.out, folder, rng, report)
            if not args.keep:
                shutil.rmtree(folder)
    except ChaosError as error:
        failure = str(error)
    requests, faults = server.counts("requests"), server.counts("faults")
    server.stop()
    print(f"data sets finished and compared: {report.finished}")
    print(f"disturbances: {report.disturbances.total()} ({counted(report.disturbances)})")
    print(f"clients: {report.exit_codes.total()}, by exit code: {counted(report.exit_codes)}")
    print(f"requests: {requests.total()} ({counted(requests)})")
    print(f"faults: {faults.total()} ({counted(faults)})")
    print(f"seconds: {time.monotonic() - began:.0f}")
    for check in sorted(report.skipped):
        print(f"not checked: {check}")
    if failure:
        print(f"FAILED: {failure}\nfiles: {root}")
        return 1
    if not args.keep:
        shutil.rmtree(root)
    return 0


if __name__ == "__main__":
    sys.exit(main())
