"""Reading of patches from cloud-optimised GeoTIFFs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, suppress
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from caco_data.errors import PermanentError, TransientError
from caco_data.sources.stac.blocks import SharedCache
from caco_data.sources.stac.cog_header import CogHeader, decode_block, parse_header
from caco_data.sources.stac.disk_cache import DiskCache
from caco_data.sources.stac.patches import Patch, PatchStore, Place, Window, with_neighbours
from caco_data.sources.stac.web import FileServer
from caco_data.types import Grid

#: Bytes read at first; the header of a Sentinel-2 file has a few kilobytes.
HEADER_NBYTES = 1 << 15
#: Bytes read when the header is longer.
_LONG_HEADER_NBYTES = 1 << 20
#: Blocks at most this many bytes apart are read by one request.
_MAX_GAP_NBYTES = 1 << 14
_HEADER_CACHE_NBYTES = 32 << 20

#: Position and length of a block in its file, and its row and column.
_Part = tuple[int, int, Place]


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
        self._patches = PatchStore()

    def header(self, href: str) -> CogHeader:
        """Read the header of a file."""
        return self._headers.get([href], lambda _: {href: self._read_header(href)})[href]

    def expecting(self, windows: Iterable[tuple[str, Window]]) -> AbstractContextManager[None]:
        """Announce reads of files, which then share blocks; see `PatchStore.expecting`."""
        return self._patches.expecting(windows)

    def read(self, href: str, grid: Grid, pixel_m: int) -> NDArray[np.uint16]:
        """Read the pixels of a grid's area; see `CogReader.read`."""
        with self._patches.reading(href) as file:
            header = self.header(href)
            patch = file.patch(header, (grid, pixel_m))
            if patch.missing:
                patches = [patch, *file.expected_patches(header)]
                expected = set().union(*(one.missing for one in patches))
                places = with_neighbours(patch.missing, expected)
                try:
                    self._fill(href, header, places, patches)
                except TransientError as error:
                    if not error.uncertain or len(places) == len(patch.missing):
                        raise
                    # Perhaps only a block that other patches need is damaged.
                    self._fill(href, header, sorted(patch.missing), [patch])
            return patch.pixels

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

    def _fill(
        self, href: str, header: CogHeader, places: list[Place], patches: list[Patch]
    ) -> None:
        """Read blocks, and copy their pixels to the patches."""
        for place, block in self._load(href, header, places):
            for patch in patches:
                patch.fill(place, block)

    def _load(
        self, href: str, header: CogHeader, places: list[Place]
    ) -> Iterator[tuple[Place, NDArray[np.uint16]]]:
        """Fetch and decode blocks of a file; neighbours in the file with one request."""
        parts = []
        with self._disk.locked(href):
            for place in places:
                start, nbytes = int(header.offsets[place]), int(header.nbytes[place])
                if not (start and nbytes):
                    yield place, np.zeros((header.block, header.block), np.uint16)
                    continue
                if (known := self._disk.get(href, start)) is not None:
                    with suppress(ValueError):  # damaged on the disk: read it again
                        yield place, decode_block(header, known)
                        continue
                parts.append((start, nbytes, place))
            for run in _runs(sorted(parts)):
                first, end = run[0][0], run[-1][0] + run[-1][1]
                data = self._files.read(href, first, end - first)
                for start, nbytes, place in run:
                    block = data[start - first : start - first + nbytes]
                    yield place, _decoded(header, block, href)
                    self._disk.put(href, start, block)


def _decoded(header: CogHeader, data: bytes, href: str) -> NDArray[np.uint16]:
    try:
        return decode_block(header, data)
    except ValueError as error:
        # Transmission is checked by the length only.
        raise TransientError("corrupt body", f"{href}: {error}", uncertain=True) from None


def _runs(parts: list[_Part]) -> list[list[_Part]]:
    """Group sorted positions in a file into runs with small gaps."""
    runs: list[list[_Part]] = []
    for part in parts:
        if runs and part[0] - sum(runs[-1][-1][:2]) <= _MAX_GAP_NBYTES:
            runs[-1].append(part)
        else:
            runs.append([part])
    return runs
