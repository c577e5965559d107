"""Cheap statistics of tiles: what an encoder could read without recognising anything."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Statistics by name, with their meaning. `DN` is reflectance x 10,000.
STATISTICS = {
    "mean": "mean, DN",
    "p1": "1st percentile, DN",
    "p50": "median, DN",
    "p99": "99th percentile, DN",
    "noise": "median absolute second difference along both axes, DN (Immerkaer 1996)",
    "edges": "mean absolute difference of neighbouring pixels, DN",
    "saturated": "share of pixels of DN 10,000 and more",
    "zero": "share of pixels of DN 0",
    "values": "number of different values",
}
#: Quantiles by the name of their statistic.
_QUANTILES = {"p1": 0.01, "p50": 0.5, "p99": 0.99}
#: Median of the absolute second difference of noise of standard deviation 1 is 6 * 0.6745.
_NOISE = 6 * 0.6745
_SATURATED_DN = 9_999.5
#: DN of a unit of the dtype uint8.
UINT8_DN = 10_000 / 255


def tile_statistics(tiles: NDArray[Any]) -> dict[str, NDArray[np.float64]]:
    """Compute the statistics of each tile and band.

    Parameters
    ----------
    tiles : ndarray of uint16 or uint8, shape (T, C, H, W)
        DN, or DN / 10000 * 255.

    Returns
    -------
    dict of ndarray, shape (T, C)
        By the names of `STATISTICS`.
    """
    dn = UINT8_DN if tiles.dtype == np.uint8 else 1.0
    ordered = np.sort(tiles.reshape(*tiles.shape[:2], -1), axis=-1)
    count = ordered.shape[-1]
    quantiles = {name: ordered[..., round(q * (count - 1))] * dn for name, q in _QUANTILES.items()}
    signed = tiles.astype(np.int32)
    along, down = np.diff(signed, axis=3), np.diff(signed, axis=2)
    second = np.diff(np.diff(along, axis=3), n=2, axis=2)
    return quantiles | {
        "mean": tiles.mean((2, 3)) * dn,
        "noise": np.median(np.abs(second), axis=(2, 3)) * dn / _NOISE,
        "edges": (np.abs(along).mean((2, 3)) + np.abs(down).mean((2, 3))) / 2 * dn,
        "saturated": (ordered * dn >= _SATURATED_DN).mean(-1),
        "zero": (ordered == 0).mean(-1),
        "values": 1.0 + np.count_nonzero(np.diff(ordered, axis=-1), axis=-1),
    }
