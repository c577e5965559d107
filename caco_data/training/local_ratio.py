"""Estimate of change from the pixels: the most changed part of a patch.

Change is local: a few per cent of a patch at most. A globally pooled embedding of a random crop
hardly depends on it, while the pixels of the place itself do. Each tile is reduced to cells of
40 m; the mean difference of a cell between the periods is divided by its mean difference between
the dates of one period. docs/learning.md compares variants.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from caco_data.sentinel2 import PIXEL_M
from caco_data.types import PATCH_PX

#: Side of a cell, metres: differences of single pixels come from misregistration.
CELL_M = 40
#: Part of the cells of a patch that may change more than its ratio: 3.5 ha.
LARGEST = 0.005
#: Added to the differences within a period: the residual differences of the air and the sun, in
#: standard deviations of a tile.
FLOOR = 0.43
#: Minimum value before the logarithm, DN, and minimum standard deviation of the logarithms.
_DARK_DN, _LEAST_DEVIATION = 50.0, 0.03


def local_change(
    tiles: NDArray[Any], dn: float = 1.0, patch_px: int = PATCH_PX
) -> tuple[float, int, int]:
    """Change ratio of a location and the place of its largest change.

    Parameters
    ----------
    tiles : ndarray, shape (2, T, C, H, W)
        All tiles of both periods.
    dn : float
        DN of a unit of `tiles`.
    patch_px : int
        Side of a patch, 10 m pixels.

    Returns
    -------
    ratio : float
        Ratio that `LARGEST` of the cells exceed.
    row, column : int
        Middle of the cell with the largest ratio, in 10 m pixels.
    """
    side = tiles.shape[-1]
    pixels = max(1, CELL_M * side // (patch_px * PIXEL_M))
    cells = side // pixels
    tiles = tiles[..., : cells * pixels, : cells * pixels]  # sides need not be multiples of 40 m
    blocks = tiles.reshape(*tiles.shape[:3], cells, pixels, cells, pixels)
    means = blocks.mean((4, 6), dtype=np.float32)
    # Per tile and band: without the common effects of air and sun.
    x = np.log(np.maximum(means * np.float32(dn), _DARK_DN))
    x -= x.mean((-2, -1), keepdims=True)
    x /= x.std((-2, -1), keepdims=True) + _LEAST_DEVIATION
    between = _mean_distance([(a, b) for a in x[0] for b in x[1]])
    within = _mean_distance(
        [(period[i], period[j]) for period in x for i in range(len(period)) for j in range(i)]
    )
    ratio = between / (within + FLOOR)
    cell_px = pixels * patch_px // side
    row, column = (k * cell_px + cell_px // 2 for k in divmod(int(ratio.argmax()), cells))
    return float(np.quantile(ratio, 1 - LARGEST)), row, column


def _mean_distance(
    pairs: list[tuple[NDArray[np.float32], NDArray[np.float32]]],
) -> NDArray[np.float32]:
    """Mean over pairs of tiles of the root mean square difference of the bands, per cell."""
    if not pairs:  # one tile per period
        return np.zeros((), np.float32)
    distances = [np.sqrt(np.square(a - b).mean(0)) for a, b in pairs]
    mean: NDArray[np.float32] = np.mean(distances, axis=0)
    return mean
