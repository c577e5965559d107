"""Reading of patches from cloud-optimised GeoTIFFs."""

from __future__ import annotations

from contextlib import suppress
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from caco_data.errors import PermanentError, TransientError
from caco_data.sources.stac.blocks import SharedCache
from caco_data.sources.stac.cog_header import CogHeader, decode_block, parse_header
from caco_data.sources.stac.disk_cache import DiskCache
from caco_data.sources.stac.web import FileServer
from caco_data.types import Grid

#: Bytes read at first; the header of a Sentinel-2 file has a few kilobytes.
HEADER_NBYTES = 1 << 15
#: Bytes read when the header is longer.
_LONG_HEADER_NBYTES = 1 << 20
#: Blocks at most this many bytes apart are read by one request.
_MAX_GAP_NBYTES = 1 << 14
#: Memory for decoded blocks, per process: 128 blocks of 1,024 x 1,024 pixels.
CACHE_NBYTES = 256 << 20
_HEADER_CACHE_NBYTES = 32 << 20

#: File and number of a block.
_Key = tuple[str, int, int]


class CogReader(Protocol):
    """Reads pixels of one band at their native size; may be used from several threads."""

    def read(self, href: str, grid: Grid, pixel_m: int) -> NDArray[np.uint16]:
        """Read the pixels of a grid's area.

        Parameters
        ----------
        href : str
            Address of the file.
        grid : Grid
            In the CRS of the file, on the lattice of its pixels.
        pixel_m : int
            Native pixel size, metres.

        Returns
        -------
        ndarray of uint16, shape (H, W)
            At the native pixel size; 0 outside the file.

        Raises
        ------
        TransientError
            For a failed request.
        PermanentError
            When the file does not exist, is not such a file, or has other pixels.
        """
        ...


class BlockReader:
    """Fetches the blocks that a patch needs, and shares them between patches.

    Parameters
    ----------
    files : FileServer
        Reads parts of files.
    disk : DiskCache, optional
        Keeps blocks for other processes.
    """

    def __init__(self, files: FileServer, disk: DiskCache | None = None) -> None:
        self._files = files
        self._disk = disk or DiskCache(None)
        self._headers: SharedCache[str, CogHeader] = SharedCache(
            lambda header: 2000 + 2 * header.offsets.nbytes, _HEADER_CACHE_NBYTES
        )
        self._blocks: SharedCache[_Key, NDArray[np.uint16]] = SharedCache(
            lambda block: block.nbytes, CACHE_NBYTES
        )

    def header(self, href: str) -> CogHeader:
        """Read the header of a file."""
        return self._headers.get([href], lambda _: {href: self._read_header(href)})[href]

    def read(self, href: str, grid: Grid, pixel_m: int) -> NDArray[np.uint16]:
        """Read the pixels of a grid's area; see `CogReader.read`."""
        header = self.header(href)
        _check(header, grid, pixel_m, href)
        height, width = grid.height_px * grid.pixel_m, grid.width_px * grid.pixel_m
        pixels = np.zeros((height // pixel_m, width // pixel_m), np.uint16)
        left = round((grid.left_m - header.left_m) / pixel_m)
        top = round((header.top_m - grid.top_m) / pixel_m)
        rows = _overlaps(top, pixels.shape[0], header.height, header.block)
        columns = _overlaps(left, pixels.shape[1], header.width, header.block)
        keys = [(href, row, column) for row in rows for column in columns]
        blocks = self._blocks.get(keys, lambda missing: self._load(header, missing))
        for row, (to_rows, from_rows) in rows.items():
            for column, (to_columns, from_columns) in columns.items():
                block = blocks[href, row, column]
                pixels[to_rows, to_columns] = block[from_rows, from_columns]
        return pixels

    def _read_header(self, href: str) -> CogHeader:
        with self._disk.locked(href):
            if known := self._disk.get(href, 0):
                with suppress(ValueError):  # damaged on the disk: read it again
                    return parse_header(known)
            for nbytes in (HEADER_NBYTES, _LONG_HEADER_NBYTES):
                data = self._files.read(href, 0, nbytes, at_most=True)
                try:
                    header = parse_header(data)
                except ValueError as error:
                    reason = str(error)
                    continue
                self._disk.put(href, 0, data)
                return header
        raise PermanentError(f"Not a cloud-optimised GeoTIFF: {reason}", href)

    def _load(self, header: CogHeader, keys: list[_Key]) -> dict[_Key, NDArray[np.uint16]]:
        """Fetch and decode blocks of one file; neighbours in the file with one request."""
        href = keys[0][0]
        loaded: dict[_Key, NDArray[np.uint16]] = {}
        places = []
        with self._disk.locked(href):
            for key in keys:
                start, nbytes = int(header.offsets[key[1:]]), int(header.nbytes[key[1:]])
                if not (start and nbytes):
                    loaded[key] = np.zeros((header.block, header.block), np.uint16)
                    continue
                if (known := self._disk.get(href, start)) is not None:
                    with suppress(ValueError):  # damaged on the disk: read it again
                        loaded[key] = decode_block(header, known)
                        continue
                places.append((start, nbytes, key))
            for run in _runs(sorted(places)):
                first, end = run[0][0], run[-1][0] + run[-1][1]
                data = self._files.read(href, first, end - first)
                for start, nbytes, key in run:
                    block = data[start - first : start - first + nbytes]
                    loaded[key] = _decoded(header, block, href)
                    self._disk.put(href, start, block)
        return loaded


def _decoded(header: CogHeader, data: bytes, href: str) -> NDArray[np.uint16]:
    try:
        return decode_block(header, data)
    except ValueError as error:
        # Transmission is checked by the length only.
        raise TransientError("corrupt body", f"{href}: {error}", uncertain=True) from None


def _check(header: CogHeader, grid: Grid, pixel_m: int, href: str) -> None:
    """Check that a file has the pixels of a grid."""
    if header.epsg != grid.epsg:
        raise PermanentError(f"The file is in EPSG:{header.epsg}, not EPSG:{grid.epsg}", href)
    if header.pixel_m != pixel_m:
        raise PermanentError(f"The file has pixels of {header.pixel_m:g} m, not {pixel_m} m", href)
    if (grid.left_m - header.left_m) % pixel_m or (grid.top_m - header.top_m) % pixel_m:
        raise PermanentError("The file's pixels are not on the grid", href)


def _overlaps(start: int, length: int, end: int, block: int) -> dict[int, tuple[slice, slice]]:
    """Return the blocks of one axis that an interval touches.

    Parameters
    ----------
    start, length : int
        The interval in pixels of the file.
    end : int
        Number of pixels of the file.
    block : int
        Pixels per block.

    Returns
    -------
    dict of int to (slice, slice)
        By number of the block: pixels of the interval, and pixels of the block.
    """
    found = {}
    for number in range(max(start, 0) // block, -(-min(start + length, end) // block)):
        low, high = max(start, number * block), min(start + length, (number + 1) * block, end)
        found[number] = (
            slice(low - start, high - start),
            slice(low - number * block, high - number * block),
        )
    return found


def _runs(places: list[tuple[int, int, _Key]]) -> list[list[tuple[int, int, _Key]]]:
    """Group sorted positions in a file into runs with small gaps."""
    runs: list[list[tuple[int, int, _Key]]] = []
    for place in places:
        if runs and place[0] - sum(runs[-1][-1][:2]) <= _MAX_GAP_NBYTES:
            runs[-1].append(place)
        else:
            runs.append([place])
    return runs
