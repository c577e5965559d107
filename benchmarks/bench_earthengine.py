"""Download from the Earth Engine test server with 100 ms latency: requests/s, CPU, memory.

python -m benchmarks.bench_earthengine [LOCATIONS]

The server is a separate process on the same machine. The benchmark measures pixel requests alone,
with the Earth Engine client and with caco-data, and whole downloads; then the requests and bytes
per location, compared with SeCo's download script.
"""

from __future__ import annotations

import json
import re
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import ee
import psutil
from google.auth.credentials import AnonymousCredentials

from caco_data.download.progress import DownloadProgress
from caco_data.download.run import download
from caco_data.download.settings import (
    ClusterSettings,
    DownloadSettings,
    FetchSettings,
    SceneSettings,
)
from caco_data.grid import grid_footprint, patch_grid
from caco_data.sampling.locations import sample_locations
from caco_data.sampling.settings import SampleSettings
from caco_data.sentinel2 import ALL_BANDS, RGB_BANDS
from caco_data.sources.earthengine.endpoint import COLLECTION
from caco_data.sources.earthengine.settings import EarthEngineSettings
from caco_data.sources.limiter import Limiter
from caco_data.types import Location
from tests.support.earthengine.server import server_process

LATENCY_MS = 100
IN_FLIGHT = 40
MAX_PER_S = IN_FLIGHT * 1000 / LATENCY_MS
#: Requests and bytes per location of SeCo's download script, 10 images x 12 bands, as measured.
SECO = (40, 30.9e6)


def counters(url: str, method: str = "GET") -> dict[str, Any]:
    """Read the counters of the server, or reset them with DELETE."""
    with urlopen(Request(f"{url}/counters", method=method)) as answer:
        return dict(json.load(answer))


def pixel_requests(url: str, client: bool, threads: int) -> tuple[float, float]:
    """Call getPixels from threads by the client or caco-data: calls per second, CPU s per call."""
    location = Location(0, 1.44, 43.6, 32631)
    grid = patch_grid(location)
    source = EarthEngineSettings(url=url).open(Limiter())
    start = datetime(2020, 1, 1, tzinfo=UTC)
    scene = source.list_scenes(grid_footprint(grid), start, start + timedelta(days=30))[0]
    bands = [*RGB_BANDS, "SCL"]
    call: Callable[[int], object]
    if client:
        vars(ee.deprecation)["deprecated_assets"] = {"_offline": None}
        ee.Initialize(AnonymousCredentials(), url=url, project="test")
        a, b, c, d, e, f = grid.transform
        affine = {"scaleX": a, "shearX": b, "translateX": c}
        affine |= {"shearY": d, "scaleY": e, "translateY": f}
        size_px = {"width": grid.width_px, "height": grid.height_px}
        query = {
            "assetId": f"{COLLECTION}/{scene.image_id}", "fileFormat": "NUMPY_NDARRAY",
            "bandIds": bands,
            "grid": {"dimensions": size_px, "affineTransform": affine, "crsCode": grid.crs},
        }  # fmt: skip
        call = lambda _: ee.data.getPixels(query)  # noqa: E731
    else:
        call = lambda _: source.read_tile(scene, grid, bands)  # noqa: E731
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(call, range(2 * threads)))  # connections
        n = 30 * threads
        cpu, began = time.process_time(), time.perf_counter()
        list(pool.map(call, range(n)))
        return n / (time.perf_counter() - began), (time.process_time() - cpu) / n


@dataclass(frozen=True, slots=True)
class Usage:
    """What a download has used up to a moment."""

    requests: int
    tiles: int
    elapsed_s: float
    client_s: float
    """CPU time of this process, seconds."""
    workers_s: float
    """CPU time of the workers, seconds."""
    workers_mib: float
    """Largest peak memory of a worker, MiB."""

    @classmethod
    def of(cls, now: DownloadProgress, others: set[int]) -> Usage:
        """Measure; `others` are the process ids of children that are not workers."""
        cpu, peaks = 0.0, [0.0]
        for child in psutil.Process().children(recursive=True):
            with suppress(psutil.Error, OSError):
                if child.pid not in others:
                    cpu += sum(child.cpu_times()[:2])
                    peak = re.search(
                        r"VmHWM:\s+(\d+)", Path(f"/proc/{child.pid}/status").read_text()
                    )
                    peaks.append(int(peak[1]) / 1024 if peak else 0.0)
        return cls(now.requests, now.tiles, now.elapsed_s, time.process_time(), cpu, max(peaks))


def whole(url: str, workers: int, n: int) -> None:
    """Run a download; its rate and CPU time are measured from 10 % to 90 % of the locations."""
    table = sample_locations(SampleSettings(), n)
    fetch = FetchSettings(SceneSettings(), RGB_BANDS)
    settings = DownloadSettings(EarthEngineSettings(url=url), fetch)
    counters(url, "DELETE")
    others = {child.pid for child in psutil.Process().children(recursive=True)}
    usages: list[Usage] = []

    def see(now: DownloadProgress) -> None:
        if len(usages) < 2 and now.settled >= (0.1, 0.9)[len(usages)] * n:
            usages.append(Usage.of(now, others))

    with tempfile.TemporaryDirectory() as folder:
        cluster = ClusterSettings(IN_FLIGHT, 10 * MAX_PER_S, workers)
        download(settings, table, str(Path(folder) / "set"), cluster, see)
    seen = counters(url)
    first, last = usages
    rate = (last.requests - first.requests) / (last.elapsed_s - first.elapsed_s)
    tiles = (last.tiles - first.tiles) / 1000
    print(
        f"  {workers} workers: {rate:4.0f} requests/s = {rate / MAX_PER_S:.0%} of the maximum, "
        f"at most {seen['most_in_flight']} in flight; "
        f"CPU per tile {(last.workers_s - first.workers_s) / tiles:.1f} ms in the workers, "
        f"{(last.client_s - first.client_s) / tiles:.1f} ms in the client; "
        f"peak memory {last.workers_mib:.0f} MiB per worker, "
        f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB in the client"
    )


def costs(url: str) -> None:
    """Count requests and bytes per location."""
    print(f"  {'SeCo, 12 bands':<28}{SECO[0]:3} requests, {SECO[1] / 1e6:.3g} MB")
    for name, bands in (("RGB", RGB_BANDS), ("12 bands", ALL_BANDS)):
        counters(url, "DELETE")
        settings = DownloadSettings(
            EarthEngineSettings(url=url), FetchSettings(SceneSettings(), bands)
        )
        with tempfile.TemporaryDirectory() as folder:
            table = sample_locations(SampleSettings(), 4)
            download(
                settings, table, str(Path(folder) / "set"), ClusterSettings(), lambda now: None
            )
        seen = counters(url)
        asked = seen["requests"]["listAssets"] + seen["requests"]["getPixels"]
        print(f"  {name:<28}{asked / 4:3.0f} requests, {seen['bytes_sent'] / 4e6:.3g} MB")


def main() -> None:
    """Print the results."""
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 400
    with server_process("--source", "flat", "--latency-ms", str(LATENCY_MS)) as url:
        print(f"{IN_FLIGHT} requests in flight, {LATENCY_MS} ms each: at most {MAX_PER_S:.0f}/s")
        print("Pixel requests only:")
        for name, client, processes in (
            ("Earth Engine client", True, 1),
            ("caco-data", False, 1),
            ("the same, 2 processes", False, 2),
        ):
            with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
                jobs = [
                    pool.submit(pixel_requests, url, client, IN_FLIGHT // processes)
                    for _ in range(processes)
                ]
                found = [job.result() for job in jobs]
            rate, cpu = sum(r for r, _ in found), max(c for _, c in found)
            print(
                f"  {name:<28}{rate:4.0f} getPixels/s = {rate / MAX_PER_S:.0%} of the maximum, "
                f"{cpu * 1000:.1f} ms CPU per request"
            )
        print(f"Whole download, {n} locations, to disk:")
        for workers in (2, 4):
            whole(url, workers, n)
    with server_process("--source", "flat") as url:
        print("One location of 10 tiles, every candidate clear, no compression:")
        costs(url)


if __name__ == "__main__":
    main()
