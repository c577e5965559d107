"""The land mask: polygons cut on a grid of cells, so that most questions are one look-up.

A cell is all ocean, all land, or coast; only coast cells hold polygons, and those are small. The
answers are exact: a point is tested against the polygons of its own cell (even-odd rule), a patch
against the edges of the polygons of the cells that it may touch.

Needs numpy and pyarrow; shapely and geopandas only to cut polygons of the user's own.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import ArrayLike, NDArray

from caco_data.world.geoparquet import values_of

#: Natural Earth 1:10m land, cut by `tools.build_tables`.
BUNDLED = Path(__file__).parent / "resources" / "land.parquet"

#: Side of a cell in degrees: the bundled file's. Loading and testing 100,000 points near cities
#: took 290 ms with cells of 1 degree, 130 with 0.5, 95 with 0.25, 125 with 0.125.
CELL_DEG = 0.25

OCEAN, COAST, LAND = 0, 1, 2

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class LandMask:
    """Land as cells and polygons. Cells are numbered eastwards, then northwards, from 180 W 90 S.

    The V vertices are those of all rings, ordered by cell; a ring's last vertex repeats its first.
    Polygons of one cell do not overlap, so the even-odd rule over all rings of a cell is right,
    holes included.
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
    """(V,), how far the next vertex of the same ring is: 1, or 0 at the ring's end."""
    ring_start: NDArray[np.int64]
    """(rings + 1,), first vertex of every ring."""
    coast_cell: NDArray[np.int64]
    """(K,), the cells that hold polygons, ascending."""
    coast_ring: NDArray[np.int64]
    """(K + 1,), first ring of each of them."""

    def contains(self, longitude: ArrayLike, latitude: ArrayLike) -> NDArray[np.bool_]:
        """Whether points lie on land.

        Parameters
        ----------
        longitude, latitude : array_like, shape (N,)
            Degrees; any whole turn of longitude.

        Returns
        -------
        ndarray of bool, shape (N,)
        """
        lon = (np.atleast_1d(np.asarray(longitude, dtype=np.float64)) + 180.0) % 360.0 - 180.0
        # The rounding of the cell's number: a hair below a parallel counts as on it, like its cell.
        lat = (np.atleast_1d(np.asarray(latitude, dtype=np.float64)) + 90.0) - 90.0
        cell = self._column(lon) % self.status.shape[1] + self._row(lat) * self.status.shape[1]
        point, edge = self._edges(cell)
        after = edge + self.step[edge]
        y = lat[point]
        starts_above = self.latitude[edge] > y
        across = np.flatnonzero(starts_above != (self.latitude[after] > y))
        # Of the edges that cross the point's parallel, count those east of it.
        point, edge, after, y = point[across], edge[across], after[across], y[across]
        x0, y0 = self.longitude[edge], self.latitude[edge]
        x1, y1 = self.longitude[after], self.latitude[after]
        west_of = (lon[point] - x0) * (y1 - y0) < (y - y0) * (x1 - x0)
        crossed = west_of != starts_above[across]
        odd = np.bincount(point[crossed], minlength=cell.size) % 2 == 1
        return np.asarray(odd | (self.status.ravel()[cell] == LAND))

    def touches(self, longitudes: Floats, latitudes: Floats) -> NDArray[np.bool_]:
        """Whether the outline or the inside of patches meets a shore line.

        A patch that meets none is all land or all ocean: ask `contains` for any point of it.

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
        turn = column // columns * 360.0

        pair, edge = self._edges(cell)
        after = edge + self.step[edge]
        turn = (column // columns * 360.0)[pair]
        owners = [patch[pair]]
        starts = [(self.longitude[edge] + turn, self.latitude[edge])]
        ends = [(self.longitude[after] + turn, self.latitude[after])]
        # A cell that is all land has no polygon of its own; its outline bounds the land.
        whole = self.status.ravel()[cell] == LAND
        corners = self._corners(column[whole], row[whole])
        for k in range(4):
            owners.append(patch[whole])
            starts.append(corners[k])
            ends.append(corners[k + 1])
        owner = np.concatenate(owners)
        start, end = np.concatenate(starts, axis=1), np.concatenate(ends, axis=1)
        # Most edges of a cell are nowhere near the patch.
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
        """Outlines of the land in the cells that meet a box.

        Parameters
        ----------
        longitude_min, latitude_min, longitude_max, latitude_max : float
            Degrees. A box across the antimeridian has longitudes beyond 180 (or below -180), or
            `longitude_min > longitude_max`; the rings' longitudes follow the box's.

        Returns
        -------
        list of ndarray of float64, shape (K, 2)
            Closed rings of longitude and latitude. Their polygons do not overlap and reach beyond
            the box, up to whole cells; a point of the box is on land when it lies in an odd number
            of the rings, holes being rings too.
        """
        if longitude_min > longitude_max:
            longitude_max += 360.0
        columns = self.status.shape[1]
        west, east = (int(c) for c in self._column(np.array([longitude_min, longitude_max])))
        south, north = (int(r) for r in self._row(np.array([latitude_min, latitude_max])))
        rings: list[Floats] = []
        for row in range(south, north + 1):
            for column in range(west, east + 1):
                turn, within = divmod(column, columns)
                cell = row * columns + within
                if self.status[row, within] == LAND:
                    corners = self._corners(np.array(column), np.array(row))
                    rings.append(np.array(corners))
                elif self.status[row, within] == COAST:
                    k = np.searchsorted(self.coast_cell, cell)
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
        """Closed outline of cells: five pairs of longitude and latitude."""
        west = np.asarray(column * self.cell_deg - 180.0, dtype=np.float64)
        south = np.asarray(row * self.cell_deg - 90.0, dtype=np.float64)
        east, north = west + self.cell_deg, south + self.cell_deg
        return [(west, south), (east, south), (east, north), (west, north), (west, south)]

    def _edges(self, cell: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """For every edge of every cell: the position in `cell`, and the edge's first vertex."""
        coast = np.flatnonzero(self.status.ravel()[cell] == COAST)
        k = np.searchsorted(self.coast_cell, cell[coast])
        first = self.ring_start[self.coast_ring[k]]
        position, edge = expand(first, self.ring_start[self.coast_ring[k + 1]] - first)
        return coast[position], edge


def expand(
    start: NDArray[np.int64], count: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Lay ranges end to end: for every element its range's position, and its value."""
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


def mask_of(table: Any, cell_deg: float) -> LandMask:
    """Mask of a table that `caco_data.world.subdivide` made (a pyarrow.Table)."""
    rows, columns = round(180 / cell_deg), round(360 / cell_deg)
    cell = values_of(table["cell"]).astype(np.int64)
    span = values_of(table["span"]).astype(np.int64)
    polygons = table["geometry"].combine_chunks()
    rings, points = polygons.values, polygons.values.values
    ring_start = values_of(rings.offsets).astype(np.int64)

    # Pieces of coast cells come first, then squares of `span` by `span` cells of land.
    coast = int(np.count_nonzero(span == 0))
    status = np.zeros(rows * columns, dtype=np.uint8)
    square, number = expand(np.zeros(span.size - coast, dtype=np.int64), span[coast:] ** 2)
    side = span[coast:][square]
    status[cell[coast:][square] + number % side + number // side * columns] = LAND
    coast_cell, first_piece = np.unique(cell[:coast], return_index=True)
    status[coast_cell] = COAST

    ring_of_piece = values_of(polygons.offsets).astype(np.int64)
    step = np.ones(len(points), dtype=np.uint8)
    step[ring_start[1:] - 1] = 0
    return LandMask(
        cell_deg=cell_deg,
        status=status.reshape(rows, columns),
        longitude=values_of(points.field("x")),
        latitude=values_of(points.field("y")),
        step=step,
        ring_start=ring_start,
        coast_cell=coast_cell,
        coast_ring=ring_of_piece[np.append(first_piece, coast)],
    )


@lru_cache(maxsize=4)
def load_land(path: str | os.PathLike[str] | None = None) -> LandMask:
    """Read the land mask; the same object for the same path.

    Parameters
    ----------
    path : path, optional
        Any vector file of polygons with a CRS; it is cut on the fly (20 s for Natural
        Earth 1:10m). Default: the bundled Natural Earth 1:10m land.

    Returns
    -------
    LandMask

    Raises
    ------
    InputError
        When the file cannot be read, has no CRS or holds no polygon.
    """
    if path is None:
        return mask_of(pq.ParquetFile(BUNDLED).read(), CELL_DEG)
    from caco_data.world.subdivide import subdivide
    from caco_data.world.vector_files import read_polygons

    return mask_of(subdivide(read_polygons(path, "land"), CELL_DEG), CELL_DEG)


def rings_near(
    longitude_min: float, latitude_min: float, longitude_max: float, latitude_max: float
) -> list[Floats]:
    """`LandMask.rings_near` of the bundled land."""
    return load_land().rings_near(longitude_min, latitude_min, longitude_max, latitude_max)
