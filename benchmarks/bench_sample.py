"""Speed of the sampler: `python -m benchmarks.bench_sample`.

Prints time and peak memory of whole processes (such as `caco-data sample --n 100k`), the time of
sampling alone, and the speed of a loop that samples one location at a time, like SeCo and
SSL4EO-S12.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import timeit
from collections.abc import Callable
from pathlib import Path

import geopandas as gpd
import numpy as np

from caco_data.sampling.locations import sample_locations
from caco_data.sampling.settings import SampleSettings
from caco_data.world.cities import BUNDLED

#: Locations per second of that loop, measured earlier on another machine.
PREDECESSOR_PER_S = 1_956
REPEATS = 5


def best(function: Callable[[], object], repeats: int = REPEATS) -> float:
    """Shortest of several times, seconds: the least disturbed by other processes."""
    return min(timeit.repeat(function, number=1, repeat=repeats))


def command(folder: Path, n: str, *options: str) -> Callable[[], object]:
    """Whole process of the installed command."""
    script = Path(sys.executable).with_name("caco-data")
    out = str(folder / "l.parquet")
    arguments = [str(script), "-q", "sample", "--n", n, "--out", out, "--overwrite", *options]
    return lambda: subprocess.run(arguments, check=True, stdout=subprocess.DEVNULL)


def sampling_s(n: int) -> float:
    """Seconds of `sample_locations` in a new process, with loading of cities and land."""
    code = (
        "import time; from caco_data.sampling.settings import SampleSettings as S\n"
        "from caco_data.sampling.locations import sample_locations; began = time.perf_counter()\n"
        f"sample_locations(S(), {n}); print(time.perf_counter() - began)"
    )
    runs = [
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
        for _ in range(REPEATS)
    ]
    return min(float(run.stdout) for run in runs)


def predecessor(n: int) -> None:
    """One location at a time, offsets in degrees, no land test, like SeCo and SSL4EO-S12."""
    frame = gpd.read_parquet(BUNDLED)
    cities = frame.nlargest(10_000, "population")
    generator = np.random.default_rng(0)
    spread = np.eye(2) * (5 / 111.32) ** 2
    rows = []
    for number in range(n):
        city = cities.iloc[generator.integers(len(cities))]
        longitude, latitude = generator.multivariate_normal(
            (city.geometry.x, city.geometry.y), spread
        )
        rows.append((number, longitude, latitude))


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        whole = best(command(folder, "100k"))
        peak_mb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        print(f"sample --n 100k   whole process {whole:6.2f} s  {100_000 / whole:12,.0f}/s"
              f"  peak {peak_mb:.0f} MiB")  # fmt: skip
        million = best(command(folder, "1m"), 2)
        peak_mb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        print(f"sample --n 1m     whole process {million:6.2f} s  {1_000_000 / million:12,.0f}/s"
              f"  peak {peak_mb:.0f} MiB")  # fmt: skip
        apart = best(command(folder, "10k", "--no-overlap"), 2)
        print(f"--n 10k --no-overlap   process  {apart:6.2f} s  {10_000 / apart:12,.0f}/s")
    hundred, thousand = sampling_s(100_000), sampling_s(1_000_000)
    print(f"sampling 100k, new process      {hundred:6.2f} s  {100_000 / hundred:12,.0f}/s")
    print(f"sampling 1m, new process        {thousand:6.2f} s  {1_000_000 / thousand:12,.0f}/s"
          f"  {thousand / hundred:.1f} x the time of 100k")  # fmt: skip
    sample_locations(SampleSettings(), 1)
    warm = best(lambda: sample_locations(SampleSettings(), 100_000), 3)
    warm_million = best(lambda: sample_locations(SampleSettings(), 1_000_000), 3)
    print(f"sampling, land in memory        {warm:6.2f} s and {warm_million:.2f} s"
          f"  {warm_million / warm:.1f} x")  # fmt: skip
    loop = 5_000 / best(lambda: predecessor(5_000), 2)
    print(f"loop over single locations      {'':8}  {loop:12,.0f}/s  (no land test)")
    per_s = 100_000 / whole
    print(f"sample --n 100k relative to that loop: {per_s / loop:.0f} x; "
          f"to {PREDECESSOR_PER_S:,}/s: {per_s / PREDECESSOR_PER_S:.0f} x")  # fmt: skip


if __name__ == "__main__":
    main()
