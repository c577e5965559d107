"""Reads from the STAC test server with 100 ms latency: requests, bytes and CPU per tile, tiles/s.

python -m benchmarks.bench_stac [LOCATIONS]

Ten tiles per location (the least cloudy scene of each slot), three 10 m bands and the scene
classes, for locations around one city and for scattered ones. odc-stac and stackstac, where they
are installed, load the same patches and bands from the same server, with 40 threads, too. The
server is a separate process with files of 1,024-pixel blocks that are not compressed.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caco_data.download.plan import usable
from caco_data.download.settings import SceneSettings
from caco_data.grid import grid_footprint, patch_grid, utm_epsg
from caco_data.sampling.locations import sample_locations
from caco_data.sampling.settings import SampleSettings
from caco_data.sentinel2 import RGB_BANDS, SCL_BAND
from caco_data.sources.simulated.settings import SimulatedSettings
from caco_data.sources.simulated.source import SimulatedSource
from caco_data.sources.stac.settings import StacSettings
from caco_data.sources.stac.source import StacSource
from caco_data.types import Footprint, Grid, Location, Scene
from tests.support.stac_server.server import StacServer

LATENCY_S, IN_FLIGHT, BLOCK_PX = 0.1, 40, 1024
BANDS = (*RGB_BANDS, SCL_BAND)
FILES = len(BANDS)
_SLOT = timedelta(days=73)
_GAP = timedelta(days=4 * 365)
#: Settings of GDAL for fast reads of parts of files (its documentation).
_GDAL = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "CPL_VSIL_CURL_ALLOWED_EXTENSIONS": ".tif",
    "GDAL_INGESTED_BYTES_AT_OPEN": "32768",
    "GDAL_HTTP_MERGE_CONSECUTIVE_RANGES": "YES",
    "VSI_CACHE": "TRUE",
}

Task = tuple[Scene, Grid]
Read = Callable[[Task], NDArray[Any]]


class CheapSource(SimulatedSource):
    """Scenes of the simulated archive with pixels that cost no time."""

    def read_tile(self, scene: Scene, grid: Grid, bands: Sequence[str]) -> NDArray[np.uint16]:
        """Return constant pixels."""
        values = np.array([4 if band == SCL_BAND else 400 for band in bands], np.uint16)
        return np.broadcast_to(
            values[:, None, None], (len(bands), grid.height_px, grid.width_px)
        ).copy()


def _serve(pipe: Connection, patches: list[Grid], latency_s: float) -> None:
    source = CheapSource(0, SimulatedSettings().open()._limiter)
    with StacServer(source, patches=patches, block=BLOCK_PX) as server:
        pipe.send(server.url)
        while (command := pipe.recv()) != "stop":
            if command == "slow":
                server.latency_s = latency_s
            pipe.send((server.requests["file"], server.nbytes))


@contextmanager
def running(patches: list[Grid]) -> Iterator[tuple[str, Connection]]:
    """Run the server in a process of its own."""
    here, there = get_context("spawn").Pipe()
    process = get_context("spawn").Process(target=_serve, args=(there, patches, LATENCY_S))
    process.start()
    try:
        yield here.recv(), here
    finally:
        here.send("stop")
        process.join()


def city_locations(n: int) -> list[Location]:
    """Make locations around Toulouse, with the sampler's deviation of 5 km."""
    rng = np.random.default_rng(0)
    north, east = rng.normal(0, 5 / 111.2, n), rng.normal(0, 5 / 111.2 / 0.72, n)
    return [
        Location(i, 1.44 + x, 43.6 + y, int(utm_epsg(1.44, 43.6)))
        for i, (x, y) in enumerate(zip(east.tolist(), north.tolist(), strict=True))
    ]


def scattered_locations(n: int) -> list[Location]:
    """Sample locations all over the world."""
    table = sample_locations(SampleSettings(), n)
    return list(table.rows(np.arange(n)))


def plan(source: StacSource, locations: list[Location]) -> list[Task]:
    """Choose the least cloudy scene of each slot; the first period starts in 2019 or 2020."""
    rng = np.random.default_rng(1)
    tasks: list[Task] = []
    for location in locations:
        grid = patch_grid(location)
        footprint: Footprint = grid_footprint(grid)
        start = datetime(2019, 1, 1, tzinfo=UTC) + timedelta(days=int(rng.integers(0, 730)))
        for first in (start, start + _GAP):
            scenes = source.list_scenes(footprint, first, first + 5 * _SLOT)
            ready = usable(scenes, grid, SceneSettings(max_cloud_pct=100))
            for t in range(5):
                slot = [s for s in ready if t <= (s.acquired - first) / _SLOT < t + 1]
                tasks += [(slot[0], grid)] if slot else []
    return tasks


@dataclass(frozen=True)
class Measured:
    """Figures of one reader."""

    name: str
    tiles_per_s: float
    requests: float
    """Per band and tile."""
    nbytes: float
    """Per band and tile."""
    cpu_ms: float
    """Per tile."""


def measure(name: str, read: Read, tasks: list[Task], pipe: Connection) -> Measured:
    """Read all tiles with 40 threads."""
    pipe.send("slow")
    requests, nbytes = pipe.recv()
    began, cpu = time.monotonic(), time.process_time()
    with ThreadPoolExecutor(IN_FLIGHT) as pool:
        for tile in pool.map(read, tasks):
            assert tile.shape[-2:] == (264, 264), tile.shape
    took, cpu = time.monotonic() - began, time.process_time() - cpu
    pipe.send("counters")
    after = pipe.recv()
    count = len(tasks)
    return Measured(
        name, count / took, (after[0] - requests) / count / FILES,
        (after[1] - nbytes) / count / FILES, 1000 * cpu / count,
    )  # fmt: skip


def item_of(scene: Scene) -> Any:
    """Make a STAC item with the files of a scene."""
    import pystac

    ring = [
        list(p) for p in zip(scene.footprint.longitudes, scene.footprint.latitudes, strict=True)
    ]
    west, south = np.min(ring, axis=0).tolist()
    east, north = np.max(ring, axis=0).tolist()
    item = pystac.Item(
        scene.image_id, {"type": "Polygon", "coordinates": [[*ring, ring[0]]]},
        [west, south, east, north], scene.acquired, {"proj:epsg": scene.epsg},
    )  # fmt: skip
    for band, href in scene.files:
        if band in BANDS:
            item.add_asset(
                band, pystac.Asset(href, media_type=pystac.MediaType.COG, roles=["data"])
            )
    return item


def odc_reader() -> Read:
    """Read with odc-stac."""
    import odc.stac
    from odc.geo.geobox import GeoBox
    from rasterio.transform import Affine

    def read(task: Task) -> NDArray[Any]:
        scene, grid = task
        box = GeoBox((grid.height_px, grid.width_px), Affine(*grid.transform), grid.crs)
        found = odc.stac.load([item_of(scene)], bands=list(BANDS), geobox=box)
        return np.stack([found[name].values[0] for name in BANDS])

    return read


def stackstac_reader() -> Read:
    """Read with stackstac."""
    import dask
    import stackstac

    def read(task: Task) -> NDArray[Any]:
        scene, grid = task
        bounds = (grid.left_m, grid.bottom_m, grid.right_m, grid.top_m)
        lazy = stackstac.stack(
            [item_of(scene)], assets=list(BANDS), epsg=grid.epsg, bounds=bounds, resolution=10,
            dtype="uint16", fill_value=np.uint16(0), rescale=False, xy_coords=False,
        )  # fmt: skip
        with dask.config.set(scheduler="threads", num_workers=FILES):
            return np.asarray(lazy.data[0].compute())

    return read


READERS = {"caco-data": "", "odc-stac": "odc.stac", "stackstac": "stackstac"}


def compare(title: str, locations: list[Location]) -> None:
    """Measure all readers with the same tiles, each with a server whose address no cache knows."""
    for name, package in READERS.items():
        if package and not _is_installed(package):
            print(f"  {name:<10} not installed")
            continue
        patches = [patch_grid(one) for one in locations]
        with running(patches) as (url, pipe), tempfile.TemporaryDirectory() as folder:
            # As in a download: blocks are kept in the folder of the data set.
            source = StacSettings(url).sharing(f"{folder}/.work/blocks").open()
            tasks = plan(source, locations)
            if not package:
                print(
                    f"{title}: {len(locations)} locations, {len(tasks)} tiles, {FILES} files each"
                )
                # As the locations in work in a download: their tiles are announced.
                with source.expecting(tasks, BANDS):
                    one = measure(name, _own_reader(source), tasks, pipe)
            else:
                make = odc_reader if name == "odc-stac" else stackstac_reader
                one = measure(name, make(), tasks, pipe)
        print(
            f"  {one.name:<10} {one.requests:5.2f} requests and {one.nbytes / 1e6:5.2f} MB per "
            f"band and tile, {one.cpu_ms:5.0f} ms of CPU per tile, {one.tiles_per_s:5.1f} tiles/s",
            flush=True,
        )


def _is_installed(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except ModuleNotFoundError:
        return False


def _own_reader(source: StacSource) -> Read:
    return lambda task: source.read_tile(*task, BANDS)


def main() -> None:
    """Measure locations around one city, and scattered ones."""
    os.environ.update(_GDAL)
    warnings.simplefilter("ignore")
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 24
    compare("one city", city_locations(count))
    compare("scattered", scattered_locations(count))


if __name__ == "__main__":
    main()
