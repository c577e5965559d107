"""Parcels with straight edges, such as fields and blocks, and distances to lines."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from caco_data.sources.simulated.frame import Frame, Ids
from caco_data.sources.simulated.noise import Field, mix, uniform
from caco_data.sources.simulated.salts import WorldSalt


class FieldAttribute(IntEnum):
    """Numbers of the random attributes of fields; see `Parcels.random`."""

    PHASE = 1
    ROTATION = 2
    FARMING = 3
    FOREST = 4
    SOIL = 5
    BRIGHTNESS = 6
    TONE = 7
    CROP = 8
    UNCULTIVATED = 9
    STAND = 10


class BlockAttribute(IntEnum):
    """Numbers of the random attributes of blocks of houses."""

    BUILT = 1
    ROOF = 2
    LOT_SIDE = 3


class EstateAttribute(IntEnum):
    """Numbers of the random attributes of estates."""

    INDUSTRY = 1
    PARK = 2
    PARK_COVER = 3
    HALL_WIDTH = 4
    HALL_LENGTH = 5
    BUILT = 6
    ROOF = 7


@dataclass(frozen=True, slots=True)
class ParcelLayout:
    """Parameters of a division of the ground into parcels."""

    salt: WorldSalt
    region_px: int
    """Typical size of a region with one orientation and parcel size, pixels."""
    width_px: tuple[float, float]
    """Minimum and maximum width of parcels, pixels."""
    aspect: float
    """Maximum ratio of length to width."""


class Parcels:
    """Rectangles with one orientation per region; fields of shape (H, W)."""

    def __init__(self, ids: Ids, edge_px: Field, across: Field, along: Field) -> None:
        self.ids = ids
        """One hash per parcel."""
        self.edge_px = edge_px
        """Distance in pixels to the nearest edge of the parcel."""
        self.across = across
        """Pixels from the parcel's left edge."""
        self.along = along
        """Pixels from the parcel's upper edge."""
        self._words: dict[int, Ids] = {}

    def random(self, attribute: int) -> Field:
        """Return one uniform random number per parcel, 0..1, for a numbered attribute.

        Each 64-bit hash provides four attributes of 16 bits.
        """
        word, part = divmod(attribute, 4)
        if word not in self._words:
            self._words[word] = mix(self.ids, word)
        bits = (self._words[word] >> np.uint64(16 * part)).astype(np.uint16)
        return np.asarray(bits.astype(np.float32) / np.float32(1 << 16))


#: Numbers hashed with a region's seed, one per attribute.
_SEED_X, _SEED_Y, _ANGLE, _WIDTH, _LENGTH = range(1, 6)


def parcels(frame: Frame, layout: ParcelLayout) -> Parcels:
    """Divide the ground of a frame into parcels."""
    region_px, (narrowest, widest) = layout.region_px, layout.width_px
    x, y = frame.coordinates()
    columns, left = _cells(frame.x0, frame.width, region_px)
    rows, top = _cells(frame.y0, frame.height, region_px)
    seeds = mix(frame.seed, layout.salt, rows[:, None], columns[None, :])
    seed_x = (columns + uniform(seeds, _SEED_X)) * region_px
    seed_y = (rows[:, None] + uniform(seeds, _SEED_Y)) * region_px
    # Each pixel belongs to the nearest of the jittered seeds of its own and the adjacent cells.
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
    angle = uniform(names, _ANGLE) * np.pi
    width = narrowest + (widest - narrowest) * uniform(names, _WIDTH) ** 2
    length = width * (1 + (layout.aspect - 1) * uniform(names, _LENGTH))
    cos, sin = np.cos(angle), np.sin(angle)

    def per_pixel(values: Field) -> Field:
        return np.asarray(values[nearest])

    width_here, length_here = per_pixel(width), per_pixel(length)
    u = (x * per_pixel(cos) + y * per_pixel(sin)) / width_here
    strip = np.floor(u)
    region = names[nearest]
    slip = uniform(region, strip.astype(np.int64))
    v = (y * per_pixel(cos) - x * per_pixel(sin)) / length_here + slip
    row = np.floor(v)
    ids = mix(region, strip.astype(np.int64), row.astype(np.int64))
    across = ((u - strip) * width_here).astype(np.float32)
    along = ((v - row) * length_here).astype(np.float32)
    edge = np.minimum(
        np.minimum(across, width_here - across), np.minimum(along, length_here - along)
    )
    return Parcels(ids, edge.astype(np.float32), across, along)


def _cells(first: int, count: int, size: int) -> tuple[NDArray[np.int64], list[int]]:
    """Return the cells along an axis, one more on both sides, and the inner cells' limits."""
    cells = np.arange(first // size - 1, (first + count - 1) // size + 2)
    return cells, np.clip(cells[1:] * size - first, 0, count).tolist()


#: Added to the squared gradient, so that it is not 0.
_MIN_GRADIENT = np.float32(1e-9)


def line_distance(field: Field) -> Field:
    """Return the distance in pixels to the zero lines of a smooth field.

    Parameters
    ----------
    field : ndarray of float32, shape (H + 2, W + 2)
        With a margin of one pixel.

    Returns
    -------
    ndarray of float32, shape (H, W)
    """
    gy = (field[2:, 1:-1] - field[:-2, 1:-1]) / 2
    gx = (field[1:-1, 2:] - field[1:-1, :-2]) / 2
    return np.asarray(np.abs(field[1:-1, 1:-1]) / np.sqrt(gx * gx + gy * gy + _MIN_GRADIENT))
