"""Points within a distance of others, on the ellipsoid, without special cases."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

#: WGS 84: equatorial radius, metres, and first eccentricity squared.
_RADIUS_M, _E2 = 6_378_137.0, 0.00669437999014
#: Number of cells per axis: more than the earth's diameter in cells of a metre... at least 13 m.
_SIDE = 1 << 20
#: Pairs of points that are compared at once.
_PAIRS = 1 << 20

Floats = NDArray[np.float64]


def earth_positions(longitude: ArrayLike, latitude: ArrayLike) -> Floats:
    """Positions of points (N,), degrees, on WGS 84 in space: (N, 3), metres from the centre.

    The straight line between two points is never longer than the way over the surface.
    """
    lon, lat = np.radians(longitude), np.radians(latitude)
    normal = _RADIUS_M / np.sqrt(1 - _E2 * np.sin(lat) ** 2)
    return np.stack(
        [
            normal * np.cos(lat) * np.cos(lon),
            normal * np.cos(lat) * np.sin(lon),
            normal * (1 - _E2) * np.sin(lat),
        ],
        axis=-1,
    )


def near(points: Floats, others: Floats, distance_m: float) -> NDArray[np.bool_]:
    """Whether each point has one of the others within a distance.

    Parameters
    ----------
    points, others : ndarray of float64, shape (N, 3) and (M, 3)
        Positions in space, metres.
    distance_m : float
        Distance in a straight line, at least 13 m.

    Returns
    -------
    ndarray of bool, shape (N,)
    """
    found = np.zeros(len(points), bool)
    keys = _cells(others, distance_m)
    order = np.argsort(keys, kind="stable")
    keys, others = keys[order], others[order]
    own = _cells(points, distance_m)
    # Points within the distance are in the same or in adjacent cells.
    steps = [
        (x * _SIDE + y) * _SIDE + z for x in (-1, 0, 1) for y in (-1, 0, 1) for z in (-1, 0, 1)
    ]
    for step in steps:
        open_ = np.flatnonzero(~found)
        start = np.searchsorted(keys, own[open_] + step, "left")
        count = np.searchsorted(keys, own[open_] + step, "right") - start
        some = np.flatnonzero(count)
        _compare(points, others, open_[some], start[some], count[some], distance_m, found)
    return found


def _cells(points: Floats, side_m: float) -> NDArray[np.int64]:
    """Number of the cell in space that contains each point."""
    x, y, z = np.floor(points / side_m).astype(np.int64).T + _SIDE // 2
    return np.asarray((x * _SIDE + y) * _SIDE + z)


def _compare(
    points: Floats,
    others: Floats,
    rows: NDArray[np.int64],
    start: NDArray[np.int64],
    count: NDArray[np.int64],
    distance_m: float,
    found: NDArray[np.bool_],
) -> None:
    """Compare points `rows` with `count` others from `start` on, some pairs at a time."""
    group = np.cumsum(count) // _PAIRS
    for number in np.unique(group):
        here = group == number
        n = count[here]
        left = np.repeat(rows[here], n)
        first = np.repeat(start[here] - np.concatenate([[0], np.cumsum(n)[:-1]]), n)
        right = first + np.arange(left.size)
        apart = np.linalg.norm(points[left] - others[right], axis=1)
        found[left[apart < distance_m]] = True
