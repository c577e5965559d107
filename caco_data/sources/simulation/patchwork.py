"""Parcels and lines: what people draw on the ground has straight edges."""

from __future__ import annotations

import numpy as np

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
    cell_x, cell_y = (x // region_px).astype(np.int64), (y // region_px).astype(np.int64)
    columns = np.arange(cell_x[0, 0] - 1, cell_x[0, -1] + 2)
    rows = np.arange(cell_y[0, 0] - 1, cell_y[-1, 0] + 2)
    seeds = mix(frame.seed, salt, rows[:, None], columns[None, :])
    seed_x = ((columns + uniform(seeds, 1)) * region_px).ravel()
    seed_y = ((rows[:, None] + uniform(seeds, 2)) * region_px).ravel()
    # Each pixel belongs to the nearest of the jittered seeds of its own and the next cells.
    home = (cell_y - rows[0]) * len(columns) + (cell_x - columns[0])  # (H, W)
    nearest, best = home, np.full(home.shape, np.inf, dtype=np.float32)
    for step in (i * len(columns) + j for i in (-1, 0, 1) for j in (-1, 0, 1)):
        other = home + step
        distance = ((seed_x[other] - x) ** 2 + (seed_y[other] - y) ** 2).astype(np.float32)
        nearer = distance < best
        nearest, best = np.where(nearer, other, nearest), np.where(nearer, distance, best)
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


def line_distance(field: Field) -> Field:
    """Distance in pixels to the zero line of a smooth field with a margin of 1, (H-2, W-2)."""
    gy = (field[2:, 1:-1] - field[:-2, 1:-1]) / 2
    gx = (field[1:-1, 2:] - field[1:-1, :-2]) / 2
    return np.asarray(np.abs(field[1:-1, 1:-1]) / np.sqrt(gx * gx + gy * gy + np.float32(1e-9)))
