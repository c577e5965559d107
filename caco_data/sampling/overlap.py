"""Test for intersecting patches: exact, also across UTM zones and the antimeridian."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from caco_data.grid import patch_corners, patch_origin, to_utm, unwrap
from caco_data.types import PATCH_M

#: Side of a cell in space. Patches with centres further apart than their diagonal (3,733 m) cannot
#: intersect; the margin covers the snapping and the flattening of the earth.
CELL_M = 3_900.0
#: Equatorial radius of the earth.
_EARTH_M = 6_378_137.0
#: Number of cells per axis: more than the earth's diameter in cells.
_SIDE = 4_096
#: Differences between the numbers of a cell and of its neighbours, including itself.
_NEIGHBOURS = [
    (x * _SIDE + y) * _SIDE + z for x in (-1, 0, 1) for y in (-1, 0, 1) for z in (-1, 0, 1)
]

Floats = NDArray[np.float64]


class Patch(NamedTuple):
    """A patch and the values that the test uses."""

    epsg: int
    """UTM zone."""
    left_m: int
    """Left edge, metres."""
    top_m: int
    """Upper edge, metres."""
    longitude: float
    """Longitude of the point, degrees."""
    latitude: float
    """Latitude of the point, degrees."""
    key: int
    """Number of the cell in space that contains the point."""


def patches(longitude: Floats, latitude: Floats, epsg: NDArray[np.int32]) -> list[Patch]:
    """Patches around points (N,), degrees."""
    left, top = patch_origin(*to_utm(longitude, latitude, epsg), epsg)
    lon, lat = np.radians(longitude), np.radians(latitude)
    # Cells in 3-D space need no special case at the antimeridian or the poles.
    space = np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])
    x, y, z = np.floor(space * (_EARTH_M / CELL_M)).astype(np.int64) + _SIDE // 2
    key = (x * _SIDE + y) * _SIDE + z
    columns = (epsg, left, top, longitude, latitude, key)
    lists = [column.tolist() for column in columns]
    return [Patch._make(row) for row in zip(*lists, strict=True)]


@dataclass
class PlacedPatches:
    """Patches that do not intersect each other."""

    _cells: defaultdict[int, list[Patch]] = field(default_factory=lambda: defaultdict(list))

    def place_first(self, candidates: Iterable[Patch]) -> int | None:
        """Add the first candidate that intersects none of the placed ones.

        Returns
        -------
        int or None
            Position of the candidate, None when all intersect.
        """
        for position, patch in enumerate(candidates):
            if self._is_free(patch):
                self._cells[patch.key].append(patch)
                return position
        return None

    def _is_free(self, patch: Patch) -> bool:
        """Whether no placed patch intersects a patch."""
        for step in _NEIGHBOURS:
            for other in self._cells.get(patch.key + step, ()):
                if intersect(patch, other):
                    return False
        return True


def intersect(one: Patch, other: Patch) -> bool:
    """Whether two patches share more than an edge."""
    if one.epsg == other.epsg:
        return abs(one.left_m - other.left_m) < PATCH_M and abs(one.top_m - other.top_m) < PATCH_M
    # As quadrilaterals in degrees: the true sides deviate by less than a metre.
    longitudes, latitudes = patch_corners(
        np.array([one.longitude, other.longitude]),
        np.array([one.latitude, other.latitude]),
        np.array([one.epsg, other.epsg]),
    )
    longitudes = unwrap(longitudes, longitudes[0, 0])
    return not (_separated(longitudes, latitudes) or _separated(longitudes[::-1], latitudes[::-1]))


def _separated(longitudes: Floats, latitudes: Floats) -> bool:
    """Whether a side of the first of two convex, clockwise polygons (2, 4) separates them."""
    x, y = longitudes[0], latitudes[0]
    east, north = np.roll(x, -1) - x, np.roll(y, -1) - y
    outside = (longitudes[1][:, None] - x) * north - (latitudes[1][:, None] - y) * east
    return bool((outside <= 0).all(axis=0).any())
