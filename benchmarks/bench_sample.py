"""How fast locations are drawn: `python benchmarks/bench_sample.py`.

Prints the whole process of `caco-data sample --n 100k` and `--n 1m` with its peak memory, the time
of the draw in it, and beside them a loop in the predecessors' manner, measured in the same run.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import geopandas as gpd
import numpy as np

from caco_data.sampling.locations import sample
from caco_data.sampling.settings import SampleSettings
from caco_data.world.cities import BUNDLED

#: The predecessors' loop on the machine that the targets were set on (DESIGN 13), locations/s.
PREDECESSOR_PER_S = 1_956
REPEATS = 5


def best(function: Callable[[], object], repeats: int = REPEATS) -> float:
    """Shortest of some runs, seconds: the others measure the rest of the machine."""
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        function()
        times.append(time.perf_counter() - began)
    return min(times)


def command(folder: Path, n: str, *options: str) -> Callable[[], object]:
    """Whole process of the installed command."""
    script = Path(sys.executable).with_name("caco-data")
    arguments = [
        str(script),
        "-q",
        "sample",
        "--n",
        n,
        "--out",
        str(folder / "l.parquet"),
        "--overwrite",
    ]
    return lambda: subprocess.run([*arguments, *options], check=True, stdout=subprocess.DEVNULL)


def draw_s(n: int) -> float:
    """Seconds of `sample` in a fresh process: reading cities and land, drawing, making the table.

    What the command prints as "sampled in".
    """
    code = (
        "import time; from caco_data.sampling.sampler import SampleSettings as S\n"
        "from caco_data.sampling.locations import sample; began = time.perf_counter()\n"
        f"sample(S(), {n}); print(time.perf_counter() - began)"
    )
    runs = [
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
        for _ in range(REPEATS)
    ]
    return min(float(run.stdout) for run in runs)


def predecessor(n: int) -> None:
    """One location at a time, degrees for kilometres, no land test, as SeCo and SSL4EO-S12 do."""
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
    hundred, drawn = draw_s(100_000), draw_s(1_000_000)
    print(f"its draw of 100k                {hundred:6.2f} s  {100_000 / hundred:12,.0f}/s")
    print(f"its draw of 1m                  {drawn:6.2f} s  {1_000_000 / drawn:12,.0f}/s"
          f"  {drawn / hundred:.1f} x 100k's")  # fmt: skip
    sample(SampleSettings(), 1)
    warm = best(lambda: sample(SampleSettings(), 100_000), 3)
    warm_drawn = best(lambda: sample(SampleSettings(), 1_000_000), 3)
    print(f"the same, tables in memory      {warm:6.2f} s and {warm_drawn:.2f} s"
          f"  {warm_drawn / warm:.1f} x")  # fmt: skip
    loop = 5_000 / best(lambda: predecessor(5_000), 2)
    print(f"a predecessor's loop            {'':8}  {loop:12,.0f}/s  (no land test)")
    per_s = 100_000 / whole
    print(f"whole process over that loop: {per_s / loop:.0f} x; over {PREDECESSOR_PER_S:,}/s: "
          f"{per_s / PREDECESSOR_PER_S:.0f} x")  # fmt: skip


if __name__ == "__main__":
    main()
