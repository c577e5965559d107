"""Time and memory by the number of locations: `python -m benchmarks.bench_size`.

Builds the unfinished data set of a download with replacements whose locations are all settled,
without pixels (`tests.support.large_dataset`). One of 20 locations was rejected. Then the steps are
measured, each in a process of its own, with its imports:

resume   of `download`: read the locations table and the files of earlier runs, sample replacements
finish   the rest of `download`: write the last shards, join the tables, write dataset.json
settle   store the outcomes of 1,000 more locations (rejections)
open     `open_dataset`
rows     open, then read the rows of 100 random locations, one after another
stacks   open, then read the positions of all tiles, for training
info     open, then summarise

With `--pixels` every shard is written, with compressed empty tiles of one band (about 10 kB per
location), and measured are, after resume and finish:

verify   check every file; one location is damaged in 20 shards, or in each
repair   remove the damaged locations
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

#: Limits at `TARGET_SIZE` locations: seconds, and peak memory in MB.
TARGETS = {"resume": (15, 500), "finish": (30, 500), "open": (3, 300), "info": (10, 500)}
TARGET_SIZE = 1_000_000
SETTLED = 1_000
DAMAGED = 20
ROWS_OF = 100
#: Seconds and CPU seconds of a step, and peak memory of its process in MB.
Figures = tuple[float, float, float]


class Clock:
    """Measures this process."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def read(self) -> Figures:
        """Figures since the clock was made."""
        status = Path("/proc/self/status").read_text()
        peak_mb = int(status.split("VmHWM:")[1].split()[0]) * 1024 / 1e6
        return time.perf_counter() - self._wall, time.process_time() - self._cpu, peak_mb


def build(folder: Path, n: int, pixels: bool = False) -> dict[str, Figures]:
    """Write the locations table and the unfinished data set."""
    clock = Clock()
    from tests.support.large_dataset import write_unfinished

    write_unfinished(folder, n, fill=True, pixels=pixels)
    return {"(build)": clock.read()}


def shards(folder: Path, n: int) -> dict[str, Figures]:
    """Write the locations table and the unfinished data set, with its shards."""
    return build(folder, n, pixels=True)


def download(folder: Path, n: int) -> dict[str, Figures]:
    """Resume and finish, like the command."""
    clock = Clock()
    from caco_data.download import run
    from caco_data.download.progress import DownloadProgress
    from caco_data.download.settings import ClusterSettings
    from caco_data.sampling.location_files import read_locations
    from tests.support.large_dataset import settings

    found: dict[str, Figures] = {}

    def watch(now: DownloadProgress) -> None:
        nonlocal clock
        if now.stage is not None and now.stage.name == "finishing" and not found:
            found["resume"] = clock.read()
            clock = Clock()

    locations = read_locations(folder / "locations.parquet")
    out = str(folder / "dataset")
    chosen = settings(fill=True, pixels=(folder / "dataset" / "shards").exists())
    result = run.download(chosen, locations, out, ClusterSettings(), watch)
    assert result.done == n, result
    return found | {"finish": clock.read()}


def settle(folder: Path, n: int) -> dict[str, Figures]:
    """Store outcomes in a new folder."""
    import numpy as np

    from caco_data.dataset.ledger import Ledger
    from caco_data.dataset.writer import DatasetWriter
    from caco_data.storage import open_storage
    from caco_data.types import Outcome, Rejection
    from tests.support.plain_source import description

    storage = open_storage(folder / "settle")
    ledger = Ledger(storage, description(per_shard=128), np.arange(n))
    writer = DatasetWriter(storage, ledger)
    clock = Clock()
    for i in range(SETTLED):
        writer.add(Outcome(i, rejection=Rejection(i, "too cloudy", "early slot 3")))
    return {"settle": clock.read()}


def open_(folder: Path, n: int) -> dict[str, Figures]:
    """Open the data set."""
    clock = Clock()
    from caco_data.dataset.reader import open_dataset

    open_dataset(folder / "dataset")
    return {"open": clock.read()}


def rows(folder: Path, n: int) -> dict[str, Figures]:
    """Read rows of random locations."""
    clock = Clock()
    import numpy as np

    from caco_data.dataset.reader import open_dataset
    from tests.support.large_dataset import is_rejected

    index = open_dataset(folder / "dataset").index
    for i in np.random.default_rng(0).integers(n, size=ROWS_OF).tolist():
        assert index.of([i]).num_rows == (0 if is_rejected(i) else 10)
    return {"rows": clock.read()}


def stacks(folder: Path, n: int) -> dict[str, Figures]:
    """Read the positions of all tiles."""
    clock = Clock()
    from caco_data.dataset.reader import open_dataset

    assert len(open_dataset(folder / "dataset").stacks().location_ids) == n
    return {"stacks": clock.read()}


def info(folder: Path, n: int) -> dict[str, Figures]:
    """Summarise the data set."""
    clock = Clock()
    from caco_data.dataset.reader import open_dataset
    from caco_data.dataset.summary import summarise

    assert summarise(open_dataset(folder / "dataset"))["periods"]["early"]["tiles"] == 5 * n
    return {"info": clock.read()}


def verify(folder: Path, n: int) -> dict[str, Figures]:
    """Damage shards, verify, then repair."""
    from caco_data.storage import open_storage

    storage = open_storage(folder / "dataset")
    damaged = sorted((folder / "dataset" / "shards").iterdir())[:DAMAGED]
    for path in damaged:
        with path.open("r+b") as file:
            file.seek(512 + 20)  # in the first array of its first location
            file.write(b"damaged")
    clock = Clock()
    from caco_data.dataset.repair import repair
    from caco_data.dataset.verify import verify

    verdict = verify(storage)
    assert (verdict.good, len(verdict.damages)) == (n - len(damaged), len(damaged))
    found = {"verify": clock.read()}
    clock = Clock()
    assert repair(storage, verdict) == len(damaged)
    return found | {"repair": clock.read()}


STEPS: dict[str, Callable[[Path, int], dict[str, Figures]]] = {
    step.__name__: step
    for step in (build, shards, download, settle, open_, rows, stacks, info, verify)
}
#: Steps with and without pixels, in order.
WITHOUT_PIXELS = ["build", "download", "settle", "open_", "rows", "stacks", "info"]
WITH_PIXELS = ["shards", "download", "verify"]


def line(n: int, step: str, figures: Figures) -> str:
    """Figures of a step beside its limits."""
    seconds, cpu_s, peak_mb = figures
    text = f"{n:>9,}  {step:8} {seconds:8.2f} s  {cpu_s:8.2f} s CPU  {peak_mb:6.0f} MB"
    if n == TARGET_SIZE and step in TARGETS:
        limit_s, limit_mb = TARGETS[step]
        met = seconds <= limit_s and peak_mb <= limit_mb
        text += f"   limits {limit_s} s, {limit_mb} MB: {'met' if met else 'exceeded'}"
    return text


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Time and memory by the number of locations.")
    parser.add_argument("--sizes", default="10000,100000,1000000", help="numbers of locations")
    parser.add_argument("--pixels", action="store_true", help="verify and repair, with shards")
    parser.add_argument("--step", choices=STEPS, help=argparse.SUPPRESS)  # in a child process
    parser.add_argument("--folder", type=Path, help="folder for the data sets (1 GB for 1,000,000)")
    options = parser.parse_args()
    sizes = [int(size) for size in options.sizes.split(",")]
    if options.step:
        print(json.dumps(STEPS[options.step](options.folder, sizes[0])))
        return
    for n in sizes:
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            for step in WITH_PIXELS if options.pixels else WITHOUT_PIXELS:
                child = [sys.executable, "-m", "benchmarks.bench_size", "--sizes", str(n)]
                child += ["--step", step, "--folder", folder]
                done = subprocess.run(child, check=True, stdout=subprocess.PIPE)
                for name, figures in json.loads(done.stdout).items():
                    print(line(n, name, figures), flush=True)


if __name__ == "__main__":
    main()
