"""GeoTIFFs of scenes, made block by block when they are read: a header, then blocks of one size.

The blocks are not compressed, so that their positions are known before they are made. There is one
overview, whose pixels have the value `OVERVIEW_DN`: no reader may use it.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from caco_data.grid import grid_footprint, to_utm
from caco_data.sentinel2 import BAND_PIXEL_M, PIXEL_M, SCL_BAND, SCL_PIXEL_M
from caco_data.sources.base import ImageSource
from caco_data.sources.stac.mgrs import SQUARE_M, TILE_M, TileSquare
from caco_data.types import Grid, Scene

OVERVIEW_DN = 9
OFFSET_DN = 1000
#: The blocks begin here.
DATA_START = 1 << 15


@lru_cache(maxsize=4096)
def square_of(scene: Scene) -> TileSquare:
    """Return the tile of a scene, whose name ends with that of the tile."""
    x, y = to_utm(scene.footprint.longitudes, scene.footprint.latitudes, scene.epsg)
    south = 10_000_000 if scene.epsg > 32700 else 0
    column, row = int(x.mean() // SQUARE_M), int((y.mean() - south) // SQUARE_M) + 1
    name = tile_name(scene)
    for dx in (0, -1, 1):
        for dy in (0, -1, 1):
            square = TileSquare(scene.epsg, column + dx, row + dy)
            if name in square.names:
                return square
    raise LookupError(f"no tile {name} near the footprint of {scene.image_id}")


def tile_name(scene: Scene) -> str:
    """Return the MGRS name of a scene's tile."""
    return scene.image_id.rsplit("_T", 1)[1]


@dataclass(frozen=True)
class Cog:
    """The file of one band of a scene."""

    scene: Scene
    band: str
    offset_dn: int
    """DN added to pixels with data."""
    block: int
    """Side of a block, pixels."""

    @property
    def pixel_m(self) -> int:
        """Native pixel size."""
        return SCL_PIXEL_M if self.band == SCL_BAND else BAND_PIXEL_M[self.band]

    @property
    def side(self) -> int:
        """Side of the image, pixels."""
        return TILE_M // self.pixel_m

    @property
    def across(self) -> int:
        """Blocks per row."""
        return -(-self.side // self.block)

    @property
    def dtype(self) -> str:
        """Data type."""
        return "<u1" if self.band == SCL_BAND else "<u2"

    @property
    def block_nbytes(self) -> int:
        """Size of a block."""
        return self.block**2 * np.dtype(self.dtype).itemsize

    @property
    def nbytes(self) -> int:
        """Size of the file; the last block is that of the overview."""
        return DATA_START + (self.across**2 + self.overview_across**2) * self.block_nbytes

    @property
    def overview_across(self) -> int:
        """Blocks per row of the overview of half the size."""
        return -(-(self.side // 2) // self.block)

    def header(self) -> bytes:
        """Return the bytes before the blocks: two image file directories (TIFF 6.0)."""
        square = square_of(self.scene)
        geo = {
            33550: ("d", (float(self.pixel_m), float(self.pixel_m), 0.0)),
            33922: ("d", (0.0, 0.0, 0.0, float(square.left_m), float(square.top_m), 0.0)),
            34735: ("H", (1, 1, 0, 3, 1024, 0, 1, 1, 1025, 0, 1, 1, 3072, 0, 1, square.epsg)),
            42113: ("s", b"0\x00"),
        }
        first = self._tags(self.side, self.across, DATA_START) | geo
        start = DATA_START + self.across**2 * self.block_nbytes
        second = self._tags(self.side // 2, self.overview_across, start) | {254: ("I", (1,))}
        data = struct.pack("<2sHI", b"II", 42, 8)
        data = _directory(data, first, last=False)
        data = _directory(data, second, last=True)
        assert len(data) <= DATA_START
        return data.ljust(DATA_START, b"\x00")

    def _tags(self, side: int, across: int, start: int) -> dict[int, tuple[str, object]]:
        count = across**2
        bits = 8 * np.dtype(self.dtype).itemsize
        positions = tuple(start + k * self.block_nbytes for k in range(count))
        return {
            256: ("I", (side,)), 257: ("I", (side,)), 258: ("H", (bits,)), 259: ("H", (1,)),
            262: ("H", (1,)), 277: ("H", (1,)), 322: ("I", (self.block,)),
            323: ("I", (self.block,)), 324: ("I", positions),
            325: ("I", (self.block_nbytes,) * count), 339: ("H", (1,)),
        }  # fmt: skip


def _directory(data: bytes, tags: dict[int, tuple[str, object]], last: bool) -> bytes:
    """Append an image file directory and its values, at an even position."""
    start = len(data)
    after = start + 2 + 12 * len(tags) + 4
    entries, values = b"", b""
    for tag, (kind, value) in sorted(tags.items()):
        if kind == "s":
            packed, count, number = bytes(value), len(bytes(value)), 2  # type: ignore[call-overload]
        else:
            packed = struct.pack(f"<{len(value)}{kind}", *value)  # type: ignore[arg-type, misc]
            count, number = len(value), {"H": 3, "I": 4, "d": 12}[kind]  # type: ignore[arg-type]
        if len(packed) > 4:
            place = struct.pack("<I", after + len(values))
            values += packed + b"\x00" * (len(packed) % 2)
        else:
            place = packed.ljust(4, b"\x00")
        entries += struct.pack("<HHI", tag, number, count) + place
    following = 0 if last else after + len(values)
    return data + struct.pack("<H", len(tags)) + entries + struct.pack("<I", following) + values


class Painter:
    """Makes the blocks of files.

    Parameters
    ----------
    source : ImageSource
        Source of the pixels.
    patches : sequence of Grid, optional
        If given, only these parts of the images have data: making whole blocks takes long.
    """

    def __init__(self, source: ImageSource, patches: Sequence[Grid] | None) -> None:
        self._source = source
        self._patches = patches
        self._tile = lru_cache(maxsize=512)(self._read_tile)

    def _read_tile(self, scene: Scene, grid: Grid, band: str) -> NDArray[np.uint16]:
        bands = (SCL_BAND,) if band == SCL_BAND else (band, SCL_BAND)
        return self._source.read_tile(scene, grid, bands)

    def read(self, cog: Cog, start: int, end: int) -> bytes:
        """Return a part of a file."""
        parts = [cog.header()[start:end]] if start < DATA_START else []
        if end > DATA_START:
            first = max(0, start - DATA_START) // cog.block_nbytes
            last = (end - 1 - DATA_START) // cog.block_nbytes
            data = b"".join(self.block(cog, number) for number in range(first, last + 1))
            skipped = max(0, start - DATA_START) - first * cog.block_nbytes
            length = end - max(start, DATA_START)
            parts.append(data[skipped : skipped + length])
        return b"".join(parts)

    def block(self, cog: Cog, number: int) -> bytes:
        """Return a block by its number in the file."""
        if number >= cog.across**2:
            return np.full(cog.block**2, OVERVIEW_DN, cog.dtype).tobytes()
        row, column = divmod(number, cog.across)
        square, side_m = square_of(cog.scene), cog.block * cog.pixel_m
        left, top = square.left_m + column * side_m, square.top_m - row * side_m
        pixels = np.zeros((cog.block, cog.block), cog.dtype)
        for grid in self._grids(cog.scene, left, top, side_m):
            self._paste(cog, pixels, grid, left, top)
        return pixels.tobytes()

    def _grids(self, scene: Scene, left: int, top: int, side_m: int) -> list[Grid]:
        """Return the parts of a block with data: patches, or the 60 m lattice around the block."""
        if self._patches is not None:
            return [
                grid
                for grid in self._patches
                if grid.epsg == scene.epsg
                and grid.left_m < left + side_m
                and grid.right_m > left
                and grid.top_m > top - side_m
                and grid.bottom_m < top
            ]
        square = square_of(scene)
        west = square.left_m + (left - square.left_m) // 60 * 60
        north = square.top_m - (square.top_m - top) // 60 * 60
        width, height = (-(-(n + side_m) // 60) * 6 for n in (left - west, north - top))
        return [Grid(scene.epsg, west, north, width, height)]

    def _paste(
        self, cog: Cog, pixels: NDArray[np.generic], grid: Grid, left: int, top: int
    ) -> None:
        tile = self._tile(cog.scene, grid, cog.band)
        step = cog.pixel_m // PIXEL_M
        native = tile[0, ::step, ::step].astype(np.uint16)
        if cog.offset_dn and cog.band != SCL_BAND:
            native = native + np.uint16(cog.offset_dn) * (tile[1, ::step, ::step] != 0)
        x = (grid.left_m - left) // cog.pixel_m
        y = (top - grid.top_m) // cog.pixel_m
        rows = slice(max(y, 0), min(y + native.shape[0], cog.block))
        columns = slice(max(x, 0), min(x + native.shape[1], cog.block))
        part = native[rows.start - y : rows.stop - y, columns.start - x : columns.stop - x]
        pixels[rows, columns] = part


def covered(scene: Scene, grid: Grid) -> bool:
    """Return whether a scene's tile contains a grid."""
    return scene.epsg == grid.epsg and bool(grid_footprint(grid).longitudes)
