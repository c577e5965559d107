from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from caco_data.grid import grid_footprint
from caco_data.sources.stac.disk_cache import DiskCache
from caco_data.sources.stac.settings import StacSettings
from tests.sources.stac.test_source import YEAR
from tests.support.simulated_tiles import grid_at
from tests.support.stac_server.server import StacServer

GRID = grid_at(1.44, 43.6)
HREF = "https://example.com/a.tif"


@pytest.fixture(scope="module")
def server() -> Iterator[StacServer]:
    with StacServer(patches=[GRID]) as running:
        yield running


def files_read(server: StacServer) -> int:
    return sum(path.startswith("/files/") for path in server.paths)


def test_processes_share_blocks(server: StacServer, tmp_path: Path) -> None:
    settings = StacSettings(server.url).sharing(str(tmp_path / ".work" / "blocks"))
    first, second = settings.open(), settings.open()
    scenes = first.list_scenes(grid_footprint(GRID), *YEAR)
    scene = next(s for s in scenes if s.epsg == GRID.epsg and s.offset_dn is not None)
    before = files_read(server)
    tile = first.read_tile(scene, GRID, ["B4", "SCL"])
    fetched = files_read(server)
    assert fetched - before >= 4  # header and blocks of two files
    np.testing.assert_array_equal(second.read_tile(scene, GRID, ["B4", "SCL"]), tile)
    assert files_read(server) == fetched
    for path in tmp_path.rglob("*"):  # damaged on the disk
        if path.is_file() and path.name != "lock":
            path.write_bytes(b"damaged")
    third = settings.open()
    np.testing.assert_array_equal(third.read_tile(scene, GRID, ["B4", "SCL"]), tile)


def test_processes_share_listings(server: StacServer, tmp_path: Path) -> None:
    settings = StacSettings(server.url).sharing(str(tmp_path / ".work" / "blocks"))
    footprint = grid_footprint(GRID)

    def searches() -> int:
        return server.requests["search"]

    scenes = settings.open().list_scenes(footprint, *YEAR)
    found = searches()
    assert settings.open().list_scenes(footprint, *YEAR) == scenes
    assert searches() == found + 1  # for the property with the name of a tile
    other = StacSettings(server.url, "sentinel-2-l2a").sharing(str(tmp_path / ".work" / "blocks"))
    other.open().list_scenes(footprint, *YEAR)
    assert searches() > found + 2
    found = searches()
    for path in tmp_path.rglob("0"):  # damaged on the disk
        path.write_bytes(b"damaged")
    assert settings.open().list_scenes(footprint, *YEAR) == scenes
    assert searches() > found + 1


def test_nothing_is_written_without_the_folder_of_the_data_set(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path / "none" / ".work" / "blocks")
    with cache.locked(HREF):
        cache.put(HREF, 0, b"part")
    assert cache.get(HREF, 0) is None
    assert not list(tmp_path.iterdir())


def test_the_oldest_parts_are_removed(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path / ".work" / "blocks", max_nbytes=1000)
    for start in range(100):
        cache.put(HREF, start, bytes(50))
    total = sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file())
    assert 0 < total <= 1200
    assert cache.get(HREF, 99) == bytes(50)
    assert cache.get(HREF, 0) is None


def test_parts_that_are_never_read_are_not_written(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path / ".work" / "blocks", only_useful=True)
    names = [f"{HREF}{k}" for k in range(300)]
    for name in names[:200]:
        cache.put(name, 1, b"part")
    assert 64 <= sum(path.is_file() for path in tmp_path.rglob("1")) < 100
    for _ in range(8):
        for name in names:
            cache.get(name, 1)
            cache.put(name, 1, b"part")
    assert all(cache.get(name, 1) for name in names)


def test_a_part_that_cannot_be_written_is_not_kept(tmp_path: Path) -> None:
    (tmp_path / ".work").write_text("a file in place of the folder")
    cache = DiskCache(tmp_path / ".work" / "blocks")
    with cache.locked(HREF):
        cache.put(HREF, 0, b"part")
        assert cache.get(HREF, 0) is None
