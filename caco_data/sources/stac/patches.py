"""Patches that are being fetched: a block that several of them need is read once, for all of them.

While a location is fetched, the areas that it will read are announced (`PatchStore.expecting`).
Whoever reads a block of a file first also fills the parts of the other expected patches, so that
only patches are kept in memory, not blocks. The memory is bounded by the locations in work.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

import numpy as np
from numpy.typing import NDArray

from caco_data.errors import PermanentError
from caco_data.sources.stac.cog_header import CogHeader
from caco_data.types import Grid

#: Row and column of a block in its file.
Place = tuple[int, int]
#: An area, and the side of the pixels in metres.
Window = tuple[Grid, int]


class Patch:
    """Pixels of an area in a file, filled block by block.

    Parameters
    ----------
    header : CogHeader
        Header of the file.
    window : tuple of Grid and int
        The area, and the pixel size that the file must have.
    href : str
        Address of the file, for messages.

    Raises
    ------
    PermanentError
        When the file has other pixels.
    """

    def __init__(self, header: CogHeader, window: Window, href: str) -> None:
        grid, pixel_m = window
        _check(header, grid, pixel_m, href)
        height, width = grid.height_px * grid.pixel_m, grid.width_px * grid.pixel_m
        self.pixels: NDArray[np.uint16] = np.zeros((height // pixel_m, width // pixel_m), np.uint16)
        """At the native pixel size; 0 outside the file."""
        left = round((grid.left_m - header.left_m) / pixel_m)
        top = round((header.top_m - grid.top_m) / pixel_m)
        rows = _overlaps(top, self.pixels.shape[0], header.height, header.block)
        columns = _overlaps(left, self.pixels.shape[1], header.width, header.block)
        self._parts = {(y, x): (rows[y], columns[x]) for y in rows for x in columns}

    @property
    def missing(self) -> set[Place]:
        """The blocks that are still needed."""
        return set(self._parts)

    def fill(self, place: Place, block: NDArray[np.uint16]) -> None:
        """Copy the pixels of a block, if it is still needed."""
        if place in self._parts:
            (to_rows, from_rows), (to_columns, from_columns) = self._parts.pop(place)
            self.pixels[to_rows, to_columns] = block[from_rows, from_columns]


class File:
    """The patches of one file. `lock` is held while the file is read."""

    def __init__(self, href: str) -> None:
        self.lock = threading.Lock()
        self.expected: Counter[Window] = Counter()
        self.users = 0
        self._href = href
        self._patches: dict[Window, Patch] = {}

    def patch(self, header: CogHeader, window: Window) -> Patch:
        """Return the patch of a window, which is kept if it is expected; see `Patch`."""
        patch = self._patches.get(window) or Patch(header, window, self._href)
        if window in self.expected:
            self._patches[window] = patch
        return patch

    def expected_patches(self, header: CogHeader) -> list[Patch]:
        """Return the patches of all expected windows that the file can have."""
        found = []
        for window in list(self.expected):
            with suppress(PermanentError):  # raised again for its own location
                found.append(self.patch(header, window))
        return found

    def forget(self, window: Window) -> None:
        """Withdraw one expectation of a window."""
        self.expected[window] -= 1
        if not self.expected[window]:
            del self.expected[window]
            self._patches.pop(window, None)


class PatchStore:
    """The files with patches that are being fetched; may be used from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._files: dict[str, File] = {}

    @contextmanager
    def reading(self, href: str) -> Iterator[File]:
        """Occupy a file for reading."""
        with self._lock:
            file = self._use(href)
        try:
            with file.lock:
                yield file
        finally:
            with self._lock:
                self._leave(href)

    @contextmanager
    def expecting(self, windows: Iterable[tuple[str, Window]]) -> Iterator[None]:
        """Keep the patches of some files until the exit, once any of their blocks is read."""
        announced = list(windows)
        with self._lock:
            for href, window in announced:
                self._use(href).expected[window] += 1
        try:
            yield
        finally:
            with self._lock:
                for href, window in announced:
                    self._files[href].forget(window)
                    self._leave(href)

    def _use(self, href: str) -> File:
        if href not in self._files:
            self._files[href] = File(href)
        self._files[href].users += 1
        return self._files[href]

    def _leave(self, href: str) -> None:
        self._files[href].users -= 1
        if not self._files[href].users:
            del self._files[href]


def with_neighbours(own: set[Place], expected: set[Place]) -> list[Place]:
    """Return blocks, and the expected ones beside them: one request reads a row of blocks."""
    found = set(own)
    for row, column in own:
        for step in (-1, 1):
            x = column + step
            while (row, x) in expected:
                found.add((row, x))
                x += step
    return sorted(found)


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
