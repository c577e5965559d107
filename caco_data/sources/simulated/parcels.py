"""Parcels and lines: what people draw on the ground has straight edges."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .frame import Frame, Ids
from .noise import Field, mix, uniform


class Parcels:
    """A patchwork of rectangles, each region of it turned its own way; fields of shape (H, W)."""

    def __init__(self, ids: Ids, edge_px: Field, across: Field, along: Field) -> None:
        self.ids = ids
        """A hash a parcel."""
        self.edge_px = edge_px
        """Distance in pixels to the nearest edge of the parcel."""
        self.across = across
        """Pixels from the parcel's left edge."""
        self.along = along
        """Pixels from its upper edge."""
        self._words: dict[int, Ids] = {}

    def draw(self, number: int) -> Field:
        """Give a uniform draw a parcel, 0..1: four of 16 bits from each hash."""
        word, part = divmod(number, 4)
        if word not in self._words:
            self._words[word] = mix(self.ids, word)
        bits = (self._words[word] >> np.uint64(16 * part)).astype(np.uint16)
        return np.asarray(bits.astype(np.float32) / np.float32(1 << 16))


def parcels(
    frame: Frame, salt: int, region_px: int, width_px: tuple[float, float], aspect: float
) -> Parcels:
    """Cut the ground into parcels.

    Parameters
    ----------
    frame : Frame
    salt : int
        Of the patchwork.
    region_px : int
        Typical size of a region of one orientation and parcel size, pixels.
    width_px : (float, float)
        Narrowest and widest parcels, pixels.
    aspect : float
        Longest length, in widths.
    """
    x, y = frame.coordinates()
    columns, left = _cells(frame.x0, frame.width, region_px)
    rows, top = _cells(frame.y0, frame.height, region_px)
    seeds = mix(frame.seed, salt, rows[:, None], columns[None, :])
    seed_x = (columns + uniform(seeds, 1)) * region_px
    seed_y = (rows[:, None] + uniform(seeds, 2)) * region_px
    # Each pixel belongs to the nearest of the jittered seeds of its own and the next cells.
    nearest = np.empty((frame.height, frame.width), dtype=np.intp)
    numbers = np.arange(seeds.size).reshape(seeds.shape)
    for i in range(len(rows) - 2):
        for j in range(len(columns) - 2):
            cell = slice(top[i], top[i + 1]), slice(left[j], left[j + 1])
            around = slice(i, i + 3), slice(j, j + 3)
            east = (seed_x[around].reshape(9, 1, 1) - x[:, cell[1]]).astype(np.float32)
            south = (seed_y[around].reshape(9, 1, 1) - y[cell[0]]).astype(np.float32)
            nearest[cell] = numbers[around].ravel()[(east**2 + south**2).argmin(axis=0)]
    names = seeds.ravel()
    angle = uniform(names, 3) * np.pi
    width = width_px[0] + (width_px[1] - width_px[0]) * uniform(names, 4) ** 2
    length = width * (1 + (aspect - 1) * uniform(names, 5))
    cos, sin = np.cos(angle), np.sin(angle)

    def of(values: Field) -> Field:
        return np.asarray(values[nearest])

    u = (x * of(cos) + y * of(sin)) / of(width)
    strip = np.floor(u)
    region = names[nearest]
    slip = uniform(region, strip.astype(np.int64))
    v = (y * of(cos) - x * of(sin)) / of(length) + slip
    row = np.floor(v)
    ids = mix(region, strip.astype(np.int64), row.astype(np.int64))
    across = ((u - strip) * of(width)).astype(np.float32)
    along = ((v - row) * of(length)).astype(np.float32)
    edge = np.minimum(np.minimum(across, of(width) - across), np.minimum(along, of(length) - along))
    return Parcels(ids, edge.astype(np.float32), across, along)


def _cells(first: int, count: int, size: int) -> tuple[NDArray[np.int64], list[int]]:
    """Cells along an axis, with one more on both sides, and where the inner ones begin and end."""
    cells = np.arange(first // size - 1, (first + count - 1) // size + 2)
    return cells, np.clip(cells[1:] * size - first, 0, count).tolist()


def line_distance(field: Field) -> Field:
    """Distance in pixels to the zero line of a smooth field with a margin of 1, (H-2, W-2)."""
    gy = (field[2:, 1:-1] - field[:-2, 1:-1]) / 2
    gx = (field[1:-1, 2:] - field[1:-1, :-2]) / 2
    return np.asarray(np.abs(field[1:-1, 1:-1]) / np.sqrt(gx * gx + gy * gy + np.float32(1e-9)))
