"""Download from the simulated archive: locations/s by workers, and time per stage.

python -m benchmarks.bench_download
"""

from __future__ import annotations

import cProfile
import pstats
import tempfile
import time
from pathlib import Path

from caco_data.download.fetch import Requests, fetch_location
from caco_data.download.run import download
from caco_data.download.settings import (
    ClusterSettings,
    DownloadSettings,
    FetchSettings,
    SceneSettings,
)
from caco_data.sampling.locations import sample_locations
from caco_data.sampling.settings import SampleSettings
from caco_data.sentinel2 import RGB_BANDS
from caco_data.sources.limiter import Limiter
from caco_data.sources.retry import RetryPolicy
from caco_data.sources.simulated.settings import SimulatedSettings
from caco_data.types import Location

N = 48
#: Stages of a location and their functions.
STAGES = {
    "listing": "list_scenes",
    "pixels": "read_tile",
    "encoding": "encode",
    "tar": "write_shard",
    "truth": "truth",
}


def main() -> None:
    """Print the results."""
    table = sample_locations(SampleSettings(), N)
    fetch = FetchSettings(SceneSettings(), RGB_BANDS)
    settings = DownloadSettings(SimulatedSettings(), fetch, locations_per_shard=16)
    rates = {}
    for workers in (1, 2):
        first: list[float] = []

        def on_progress(now: object, first: list[float] = first) -> None:
            first.append(time.perf_counter())

        with tempfile.TemporaryDirectory() as folder:
            began = time.perf_counter()
            done = download(
                settings, table, str(Path(folder) / "set"), ClusterSettings(workers=workers),
                on_progress,
            )  # fmt: skip
            total = time.perf_counter() - began
        # Without the start of the cluster: from the first location to the last.
        rates[workers] = (N - 1) / (first[-1] - first[1])
        print(
            f"{workers} worker(s): {rates[workers]:6.2f} locations/s, "
            f"{rates[workers] * done.tiles / N:6.1f} tiles/s, {total:.1f} s in total"
        )
    print(f"2 workers compared with 1: {rates[2] / rates[1]:.2f} x")

    columns = (table.location_id, table.longitude, table.latitude, table.utm_epsg)
    places = [Location(*row) for row in zip(*(c.tolist() for c in columns), strict=True)]
    requests = Requests(SimulatedSettings().open(), fetch, RetryPolicy(), Limiter())
    fetch_location(places[0], requests)
    profile = cProfile.Profile()
    profile.enable()
    for place in places[1:13]:
        fetch_location(place, requests)
    profile.disable()
    stats = pstats.Stats(profile).stats  # type: ignore[attr-defined]
    spent = {key[2]: entry[3] for key, entry in stats.items() if "caco_data" in key[0]}
    whole = spent["fetch_location"]
    print(f"one location in one thread, {whole / 12 * 1e3:.0f} ms with the profiler:")
    for stage, function in STAGES.items():
        print(f"  {stage:<9}{spent[function] / whole:6.1%}")


if __name__ == "__main__":
    main()
