"""The sea: the real coast, made rough below the resolution of the map; plumes of rivers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from caco_data.grid import false_northing_m, to_lonlat, to_utm
from caco_data.sentinel2 import PIXEL_M
from caco_data.sources.simulated.frame import FractalNoise, Frame, Mask
from caco_data.sources.simulated.layers import RIVER_DRYNESS_BELOW
from caco_data.sources.simulated.lines import line_distance
from caco_data.sources.simulated.noise import Field
from caco_data.sources.simulated.salts import WorldSalt
from caco_data.types import Grid
from caco_data.world.land import rings_near

#: Maximum distance of the simulated shore from the map's coastline, pixels.
SHORE_PX = 24
#: Standard deviation of that distance along each axis, pixels.
SHORE_SHIFT_PX = SHORE_PX * 0.4
SHORE_SCALES_PX = (32, 12, 5)
SHORE_EAST = FractalNoise(WorldSalt.SHORE_EAST, SHORE_SCALES_PX)
SHORE_SOUTH = FractalNoise(WorldSalt.SHORE_SOUTH, SHORE_SCALES_PX)
#: Reach of the plumes of rivers in the sea, pixels. A plume's half width in pixels, at the mouth
#: and by which it has widened at its end.
PLUME_PX, MOUTH_PX, PLUME_WIDENS_PX = 80, 6.0, 45.0
#: Maximum distance between vertices of a coastline, degrees: parallels are curved in UTM.
RING_STEP_DEG = 0.02


def sea(grid: Grid, frame: Frame) -> Mask:
    """Return the pixels at sea, (H, W)."""
    wide = frame.grown(SHORE_PX)
    north = int(false_northing_m(grid.epsg))
    x = np.array([wide.x0, wide.x0 + wide.width]) * float(PIXEL_M)
    y = -np.array([wide.y0, wide.y0 + wide.height]) * float(PIXEL_M) + north
    lon, lat = to_lonlat(x[[0, 1, 1, 0]], y[[0, 0, 1, 1]], grid.epsg)
    lon = lon[0] + (lon - lon[0] + 180) % 360 - 180
    rings = rings_near(float(lon.min()), float(lat.min()), float(lon.max()), float(lat.max()))
    land = np.zeros((wide.height, wide.width), dtype=np.int32)
    for ring in rings:
        line = _densified(ring)
        east, up = to_utm(line[:, 0], line[:, 1], grid.epsg)
        _count_crossings(land, east / PIXEL_M - wide.x0, (north - up) / PIXEL_M - wide.y0)
    is_sea = land.cumsum(axis=1) % 2 == 0
    if is_sea.all() or not is_sea.any():
        return np.full((frame.height, frame.width), bool(is_sea[0, 0]))
    dx, dy = (
        np.clip(frame.fractal(noise) * SHORE_SHIFT_PX, -SHORE_PX, SHORE_PX).astype(np.int64)
        for noise in (SHORE_EAST, SHORE_SOUTH)
    )
    i = np.arange(frame.height)[:, None] + SHORE_PX + dy
    j = np.arange(frame.width)[None, :] + SHORE_PX + dx
    return np.asarray(is_sea[i, j])


def plumes(at_sea: Mask, river_course: Field, dryness: Field) -> Field | None:
    """Return the share of river water in the sea, which decreases away from the mouths.

    Parameters
    ----------
    at_sea : ndarray of bool, shape (H + 2 * PLUME_PX, W + 2 * PLUME_PX)
        See `sea`.
    river_course : ndarray of float32, shape (H + 2, W + 2)
        Field whose zero lines are rivers, and the middles of plumes.
    dryness : ndarray of float32, shape (H, W)
        Rivers that dry out have no plume.

    Returns
    -------
    ndarray of float32, shape (H, W), or None
        0..1; None if the sea or the land is not within `PLUME_PX`.
    """
    if at_sea.all() or not at_sea.any():
        return None
    side = 2 * PLUME_PX + 1
    sums = np.pad(at_sea, ((1, 0), (1, 0))).cumsum(axis=0).cumsum(axis=1)
    sea_px = sums[side:, side:] - sums[side:, :-side] - sums[:-side, side:] + sums[:-side, :-side]
    # 0 at a straight coast, 1 where no land is in reach.
    offshore = np.clip(2 * sea_px.astype(np.float32) / np.float32(side**2) - 1, 0, 1)
    across = line_distance(river_course) / (MOUTH_PX + PLUME_WIDENS_PX * offshore)
    plume = (1 - offshore) * np.exp(-across * across) * (dryness < RIVER_DRYNESS_BELOW)
    return np.asarray(plume, dtype=np.float32)


def _densified(ring: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a ring with vertices inserted at least every `RING_STEP_DEG`."""
    pieces = np.ceil(np.abs(np.diff(ring, axis=0)).max(axis=1) / RING_STEP_DEG)
    where = np.concatenate([[0], np.cumsum(np.maximum(pieces, 1))])
    at = np.arange(where[-1] + 1)
    return np.stack([np.interp(at, where, ring[:, k]) for k in (0, 1)], axis=1)


def _count_crossings(
    land: NDArray[np.int32], x: NDArray[np.float64], y: NDArray[np.float64]
) -> None:
    """Count where a ring crosses the centre lines of pixel rows, at the next pixel to the east."""
    height, width = land.shape
    top, bottom = np.minimum(y[:-1], y[1:]), np.maximum(y[:-1], y[1:])
    west = np.minimum(x[:-1], x[1:])
    for k in np.flatnonzero((bottom >= 0) & (top < height) & (west < width)):
        # Half-open, so that a vertex on a centre line is counted once.
        rows = np.arange(max(np.ceil(top[k] - 0.5), 0), min(np.ceil(bottom[k] - 0.5), height))
        f = (rows + 0.5 - y[k]) / (y[k + 1] - y[k])
        column = np.maximum(np.ceil(x[k] + f * (x[k + 1] - x[k]) - 0.5), 0)
        seen = column < width
        np.add.at(land, (rows[seen].astype(np.int64), column[seen].astype(np.int64)), 1)
