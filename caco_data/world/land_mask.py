"""The land mask: land polygons cut on a grid of cells, so that most points need one look-up.

A cell is all ocean, all land, or coast; only coast cells contain polygons, and those are small. The
answers are exact: a point is tested against the polygons of its own cell (even-odd rule), a patch
against the edges of the polygons of all cells that its bounding box meets.

Hand-written for speed: shapely takes 3 times as long for `contains` and 14 times for `touches`,
including the loading of its polygons (benchmarks/bench_world.py).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

OCEAN, COAST, LAND = 0, 1, 2

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class LandMask:
    """Land as cells and polygons. Cells are numbered eastwards, then northwards, from 180 W 90 S.

    The V vertices are those of all rings, ordered by cell; the last vertex of a ring repeats its
    first. Polygons of one cell do not overlap, so that the even-odd rule holds over all rings of a
    cell, including holes.
    """

    cell_deg: float
    """Side of a cell, degrees."""
    status: NDArray[np.uint8]
    """(rows, columns), `OCEAN`, `COAST` or `LAND`."""
    longitude: Floats
    """(V,), degrees."""
    latitude: Floats
    """(V,), degrees."""
    step: NDArray[np.uint8]
    """(V,), offset of the next vertex of the same ring: 1, or 0 at the end of the ring."""
    ring_start: NDArray[np.int64]
    """(rings + 1,), first vertex of each ring."""
    coast_cell: NDArray[np.int64]
    """(K,), the cells that contain polygons, ascending."""
    coast_ring: NDArray[np.int64]
    """(K + 1,), first ring of each of these cells."""

    def contains(self, longitude: ArrayLike, latitude: ArrayLike) -> NDArray[np.bool_]:
        """Whether points are on land.

        Parameters
        ----------
        longitude, latitude : array_like, shape (N,)
            Degrees; longitudes may be shifted by multiples of 360.

        Returns
        -------
        ndarray of bool, shape (N,)
        """
        lon = (np.atleast_1d(np.asarray(longitude, dtype=np.float64)) + 180.0) % 360.0 - 180.0
        # Round like `_row`, so that a point and its cell are on the same side of a parallel.
        lat = (np.atleast_1d(np.asarray(latitude, dtype=np.float64)) + 90.0) - 90.0
        cell = self._column(lon) % self.status.shape[1] + self._row(lat) * self.status.shape[1]
        point, edge = self._edges(cell)
        after = edge + self.step[edge]
        y = lat[point]
        starts_above = self.latitude[edge] > y
        across = np.flatnonzero(starts_above != (self.latitude[after] > y))
        # Of the edges that cross the point's parallel, count those to the east.
        point, edge, after, y = point[across], edge[across], after[across], y[across]
        x0, y0 = self.longitude[edge], self.latitude[edge]
        x1, y1 = self.longitude[after], self.latitude[after]
        west_of = (lon[point] - x0) * (y1 - y0) < (y - y0) * (x1 - x0)
        crossed = west_of != starts_above[across]
        odd = np.bincount(point[crossed], minlength=cell.size) % 2 == 1
        return np.asarray(odd | (self.status.ravel()[cell] == LAND))

    def touches(self, longitudes: Floats, latitudes: Floats) -> NDArray[np.bool_]:
        """Whether a shoreline crosses or is inside patches.

        Any other patch is all land or all ocean: use `contains` with one of its points.

        Parameters
        ----------
        longitudes, latitudes : ndarray, shape (N, 4)
            Corners clockwise, degrees; longitudes continuous across the antimeridian.

        Returns
        -------
        ndarray of bool, shape (N,)
        """
        columns = self.status.shape[1]
        lon_min, lon_max = longitudes.min(axis=1), longitudes.max(axis=1)
        lat_min, lat_max = latitudes.min(axis=1), latitudes.max(axis=1)
        west, east = self._column(lon_min), self._column(lon_max)
        south, north = self._row(lat_min), self._row(lat_max)
        width = east - west + 1
        patch, number = expand(np.zeros_like(width), width * (north - south + 1))
        column = west[patch] + number % width[patch]
        row = south[patch] + number // width[patch]
        cell = row * columns + column % columns

        pair, edge = self._edges(cell)
        after = edge + self.step[edge]
        turn = (column // columns * 360.0)[pair]
        owners = [patch[pair]]
        starts = [(self.longitude[edge] + turn, self.latitude[edge])]
        ends = [(self.longitude[after] + turn, self.latitude[after])]
        # A cell that is all land contains no polygon: use its outline.
        whole = self.status.ravel()[cell] == LAND
        corners = self._corners(column[whole], row[whole])
        for k in range(4):
            owners.append(patch[whole])
            starts.append(corners[k])
            ends.append(corners[k + 1])
        owner = np.concatenate(owners)
        start, end = np.concatenate(starts, axis=1), np.concatenate(ends, axis=1)
        # Leave out the edges outside the bounding box of the patch: most edges.
        near = np.flatnonzero(
            (np.maximum(start[0], end[0]) >= lon_min[owner])
            & (np.minimum(start[0], end[0]) <= lon_max[owner])
            & (np.maximum(start[1], end[1]) >= lat_min[owner])
            & (np.minimum(start[1], end[1]) <= lat_max[owner])
        )
        owner = owner[near]
        met = _segments_meet(start[:, near], end[:, near], longitudes[owner], latitudes[owner])
        return np.bincount(owner[met], minlength=len(longitudes)) > 0

    def rings_near(
        self,
        longitude_min: float,
        latitude_min: float,
        longitude_max: float,
        latitude_max: float,
    ) -> list[Floats]:
        """Return the outlines of the land in the cells that meet a box.

        Parameters
        ----------
        longitude_min, latitude_min, longitude_max, latitude_max : float
            Degrees. A box across the antimeridian has longitudes above 180 (or below -180), or
            `longitude_min > longitude_max`; the rings have longitudes in the same range.

        Returns
        -------
        list of ndarray of float64, shape (K, 2)
            Closed rings of longitude and latitude, outer rings and holes, that extend beyond the
            box to whole cells. A point of the box is on land when an odd number of rings contain
            it.
        """
        if longitude_min > longitude_max:
            longitude_max += 360.0
        west, east = (int(c) for c in self._column(np.array([longitude_min, longitude_max])))
        south, north = (int(r) for r in self._row(np.array([latitude_min, latitude_max])))
        rings: list[Floats] = []
        for row in range(south, north + 1):
            for column in range(west, east + 1):
                rings += self._cell_rings(column, row)
        return rings

    def _cell_rings(self, column: int, row: int) -> list[Floats]:
        """Outlines of the land in a cell; columns may be shifted by whole turns."""
        columns = self.status.shape[1]
        turn, within = divmod(column, columns)
        if self.status[row, within] == LAND:
            return [np.array(self._corners(np.array(column), np.array(row)))]
        if self.status[row, within] == OCEAN:
            return []
        k = np.searchsorted(self.coast_cell, row * columns + within)
        rings = []
        for ring in range(self.coast_ring[k], self.coast_ring[k + 1]):
            part = slice(self.ring_start[ring], self.ring_start[ring + 1])
            longitude = self.longitude[part] + 360.0 * turn
            rings.append(np.stack([longitude, self.latitude[part]], axis=1))
        return rings

    def _column(self, longitude: Floats) -> NDArray[np.int64]:
        return np.floor((longitude + 180.0) / self.cell_deg).astype(np.int64)

    def _row(self, latitude: Floats) -> NDArray[np.int64]:
        row = np.floor((latitude + 90.0) / self.cell_deg).astype(np.int64)
        return np.clip(row, 0, self.status.shape[0] - 1)

    def _corners(
        self, column: NDArray[np.int64], row: NDArray[np.int64]
    ) -> list[tuple[Floats, Floats]]:
        """Closed outlines of cells: five pairs of longitude and latitude."""
        west = np.asarray(column * self.cell_deg - 180.0, dtype=np.float64)
        south = np.asarray(row * self.cell_deg - 90.0, dtype=np.float64)
        east, north = west + self.cell_deg, south + self.cell_deg
        return [(west, south), (east, south), (east, north), (west, north), (west, south)]

    def _edges(self, cell: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Edges of the polygons of cells: position in `cell` and first vertex of each edge."""
        coast = np.flatnonzero(self.status.ravel()[cell] == COAST)
        k = np.searchsorted(self.coast_cell, cell[coast])
        first = self.ring_start[self.coast_ring[k]]
        position, edge = expand(first, self.ring_start[self.coast_ring[k + 1]] - first)
        return coast[position], edge


def expand(
    start: NDArray[np.int64], count: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Concatenate ranges: for each element the position of its range, and its value."""
    owner = np.repeat(np.arange(count.size), count)
    first = np.cumsum(count) - count
    return owner, np.arange(owner.size) - first[owner] + start[owner]


def _segments_meet(
    start: Floats, end: Floats, longitudes: Floats, latitudes: Floats
) -> NDArray[np.bool_]:
    """Whether segments (2, S) meet convex clockwise quadrilaterals (S, 4): Cyrus and Beck, 1978."""
    enter, leave = np.zeros(len(longitudes)), np.ones(len(longitudes))
    for k in range(4):
        x, y = longitudes[:, k], latitudes[:, k]
        east, north = longitudes[:, k - 3] - x, latitudes[:, k - 3] - y
        # Signed distances, up to a factor, to the right of this side: positive is inside.
        at_start = (start[0] - x) * north - (start[1] - y) * east
        at_end = (end[0] - x) * north - (end[1] - y) * east
        slope = at_end - at_start
        with np.errstate(divide="ignore", invalid="ignore"):
            crossing = -at_start / slope
        enter = np.where(slope > 0, np.maximum(enter, crossing), enter)
        leave = np.where(slope < 0, np.minimum(leave, crossing), leave)
        leave = np.where((slope == 0) & (at_start < 0), -1.0, leave)
    return np.asarray(enter <= leave)
