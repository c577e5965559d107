"""Speed of the simulated archive: listings, and tiles per second on one core.

OMP_NUM_THREADS=1 python -m benchmarks.bench_simulated
"""

from __future__ import annotations

import time
from datetime import UTC, datetime

from caco_data.grid import grid_footprint, patch_grid, utm_epsg
from caco_data.sentinel2 import ALL_BANDS, RGB_BANDS
from caco_data.sources.simulated.settings import SimulatedSettings
from caco_data.types import Grid, Location

START, END = datetime(2020, 1, 1, tzinfo=UTC), datetime(2021, 1, 1, tzinfo=UTC)
#: Country, town fringe, city, coast, tropics, north: land covers differ in computing time.
PLACES = ((2.1, 48.2), (11.75, 48.1), (2.34, 48.86), (2.25, 41.45), (101.6, 3.2), (24.6, 60.3))
TILES = 10


def grid_at(longitude: float, latitude: float) -> Grid:
    """Patch around a point."""
    return patch_grid(Location(0, longitude, latitude, int(utm_epsg(longitude, latitude))))


def main() -> None:
    """Print the figures."""
    for bands in (RGB_BANDS, (*RGB_BANDS, "B8"), (*RGB_BANDS, "SCL"), (*ALL_BANDS, "SCL")):
        source = SimulatedSettings().open()
        tiles = listing_s = first_s = reading_s = 0.0
        for place in PLACES:
            grid = grid_at(*place)
            begin = time.perf_counter()
            listed = source.list_scenes(grid_footprint(grid), START, END)
            listing_s += time.perf_counter() - begin
            own = [scene for scene in listed if scene.epsg == grid.epsg]
            scenes = sorted(own, key=lambda scene: scene.cloud_pct)[:TILES]
            begin = time.perf_counter()
            source.read_tile(scenes[0], grid, bands)
            first_s += time.perf_counter() - begin
            for scene in scenes:
                source.read_tile(scene, grid, bands)
            reading_s += time.perf_counter() - begin
            tiles += len(scenes) + 1
        print(
            f"{len(bands):2d} bands: {tiles / reading_s:5.0f} tiles/s with {TILES} per place, "
            f"first tile {first_s / len(PLACES) * 1e3:3.0f} ms, "
            f"then {(reading_s - first_s) / (tiles - len(PLACES)) * 1e3:4.1f} ms each; "
            f"listing of a year {listing_s / len(PLACES) * 1e3:3.1f} ms"
        )


if __name__ == "__main__":
    main()
