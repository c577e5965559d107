"""Parcels and lines: what people draw on the ground has straight edges."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .frame import Frame, Ids
from .noise import Field, mix, uniform


@dataclass(frozen=True)
class Parcels:
    """A patchwork of rectangles, each region of it turned its own way."""

    ids: Ids
    """(H, W), a hash a parcel."""
    edge_px: Field
    """(H, W), distance in pixels to the nearest edge of the parcel."""
    across: Field
    """(H, W), pixels from the parcel's left edge."""
    along: Field
    """(H, W), pixels from its upper edge."""


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
    best = np.full((frame.height, frame.width), np.inf, dtype=np.float32)
    region = np.zeros(best.shape, dtype=np.uint64)
    for i in range(-1, 2):
        for j in range(-1, 2):
            key = mix(frame.seed, salt, cell_y + i, cell_x + j)
            sx = (cell_x + j + uniform(key, 1)) * region_px - x
            sy = (cell_y + i + uniform(key, 2)) * region_px - y
            distance = (sx * sx + sy * sy).astype(np.float32)
            nearer = distance < best
            best[nearer] = distance[nearer]
            region[nearer] = np.broadcast_to(key, best.shape)[nearer]
    names, where = np.unique(region, return_inverse=True)
    angle = uniform(names, 3) * np.pi
    width = width_px[0] + (width_px[1] - width_px[0]) * uniform(names, 4) ** 2
    length = width * (1 + (aspect - 1) * uniform(names, 5))
    cos, sin = np.cos(angle), np.sin(angle)

    def of(values: Field) -> Field:
        return values[where].reshape(best.shape)

    u = (x * of(cos) + y * of(sin)) / of(width)
    strip = np.floor(u)
    slip = uniform(region, 6, strip.astype(np.int64))
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
    return np.abs(field[1:-1, 1:-1]) / np.sqrt(gx * gx + gy * gy + np.float32(1e-9))
