"""Random reads of tiles from shards and from folders with one GeoTIFF per band.

python -m benchmarks.bench_shards
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray

from caco_data.dataset.arrays import NPY_HEADER_BYTES
from caco_data.dataset.reader import Dataset, open_dataset
from tests.support.plain_source import make_dataset, outcomes

LOCATIONS = 24
BANDS = ("B4", "B3", "B2")


def shard_reader(dataset: Dataset) -> Callable[[int, int, int], NDArray[Any]]:
    """Read a tile by location, period and t, as training does."""
    stacks = dataset.stacks()
    member = stacks.members[0]
    files = [os.open(path, os.O_RDONLY) for path in stacks.paths]
    nbytes = int(np.prod(member.shape[1:])) * stacks.dtype.itemsize

    def read(location: int, period: int, t: int) -> NDArray[Any]:
        at = int(member.offset[location, period]) + NPY_HEADER_BYTES + t * nbytes
        data = os.pread(files[stacks.shard[location]], nbytes, at)
        return np.frombuffer(data, stacks.dtype).reshape(member.shape[1:])

    return read


def write_folders(dataset: Dataset, root: Path) -> None:
    """Write `LOCATION/SCENE/B4.tif`, the layout of the CACo and SeCo data sets."""
    for location in dataset.stacks().location_ids.tolist():
        for period, name in enumerate(("early", "late")):
            stack = dataset.read_member(location, name)
            for t in range(len(stack)):
                folder = root / f"{location}/{period}{t}"
                folder.mkdir(parents=True)
                for c, band in enumerate(BANDS):
                    with rasterio.open(
                        folder / f"{band}.tif", "w", driver="GTiff", width=264, height=264,
                        count=1, dtype="uint16", compress="deflate", crs="EPSG:32631",
                        transform=rasterio.Affine(10, 0, 0, 0, -10, 0),
                    ) as file:  # fmt: skip
                        file.write(stack[t, c], 1)


def folder_reader(root: Path) -> Callable[[int, int, int], NDArray[Any]]:
    """Read a tile from these folders."""

    def read(location: int, period: int, t: int) -> NDArray[Any]:
        bands = []
        for band in BANDS:
            with rasterio.open(root / f"{location}/{period}{t}/{band}.tif") as file:
                bands.append(file.read(1))
        return np.stack(bands)

    return read


def rate(read: Callable[[int, int, int], NDArray[Any]], n: int) -> float:
    """Tiles per second: the best of three rounds of n random tiles."""
    rng = np.random.default_rng(0)
    best = 0.0
    for _ in range(3):
        places = rng.integers((LOCATIONS, 2, 5), size=(n, 3)).tolist()
        began = time.perf_counter()
        for place in places:
            read(*place)
        best = max(best, n / (time.perf_counter() - began))
    return best


def main() -> None:
    """Print the read rates."""
    with tempfile.TemporaryDirectory() as folder:
        make_dataset(f"{folder}/set", outcomes(LOCATIONS), per_shard=12)
        dataset = open_dataset(f"{folder}/set")
        write_folders(dataset, Path(folder) / "tiff")
        from_shards, from_folders = shard_reader(dataset), folder_reader(Path(folder) / "tiff")
        assert np.array_equal(from_shards(3, 1, 2), from_folders(3, 1, 2))
        shards, folders = rate(from_shards, 5000), rate(from_folders, 300)
    print(f"shards, random tiles, one process, warm: {shards:9,.0f} images/s")
    print(f"one GeoTIFF per band:                    {folders:9,.0f} images/s")
    print(f"shards / GeoTIFFs:                       {shards / folders:9,.0f} x")


if __name__ == "__main__":
    main()
