"""Cutting of land polygons on a regular grid of degrees, for the look-up in `land_mask`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pyarrow as pa
import shapely
from numpy.typing import NDArray

#: Side of the largest blocks that land is cut into, in cells: a power of two.
BLOCK_CELLS = 16

#: Native encoding of GeoParquet 1.1: nested lists, which numpy reads without parsing.
POLYGON = pa.list_(pa.list_(pa.struct([("x", pa.float64()), ("y", pa.float64())])))
LAND_SCHEMA = pa.schema([("cell", pa.int32()), ("span", pa.int16()), ("geometry", POLYGON)])

Geometries = NDArray[np.object_]


def subdivide(polygons: Iterable[Any], cell_deg: float) -> pa.Table:
    """Cut land into pieces of at most one cell, and squares of cells that are all land.

    Parameters
    ----------
    polygons : iterable of shapely geometries
        Longitude and latitude in degrees, within -180..180 and -90..90; may overlap.
    cell_deg : float
        Side of a cell, degrees.

    Returns
    -------
    pyarrow.Table
        `cell`, numbered eastwards, then northwards, from 180 W 90 S; `span`, 0 for a piece of
        that cell, else the side, in cells, of a square of land of which it is the south-western
        cell; `geometry`, a polygon. Pieces do not overlap; those of coast cells are first, and
        both kinds are ordered by cell.
    """
    land = shapely.get_parts(shapely.union_all(shapely.make_valid(list(polygons))))
    size = BLOCK_CELLS * cell_deg
    west, south = np.meshgrid(np.arange(-180, 180, size), np.arange(-90, 90, size))
    blocks = shapely.box(west.ravel(), south.ravel(), west.ravel() + size, south.ravel() + size)
    block, polygon = shapely.STRtree(land).query(blocks, predicate="intersects")
    corner = np.stack([west.ravel(), south.ravel()], axis=1)[block]
    pieces, corner = _clip(land[polygon], corner, size)

    columns = round(360 / cell_deg)
    done: list[tuple[NDArray[np.int64], int, Geometries]] = []
    span = BLOCK_CELLS
    while pieces.size:
        # The tolerance allows for rounding of the area; no island is that close to a full square.
        whole = shapely.area(pieces) > (span * cell_deg) ** 2 * (1 - 1e-12)
        kept = whole if span > 1 else np.ones_like(whole)
        place = np.round((corner[kept] + [180.0, 90.0]) / cell_deg).astype(np.int64)
        cell = place[:, 1] * columns + place[:, 0]
        for value, chosen in ((span, whole[kept]), (0, ~whole[kept])):
            done.append((cell[chosen], value, pieces[kept][chosen]))
        span //= 2
        if span == 0:
            break
        quarter = np.array([[0, 0], [1, 0], [0, 1], [1, 1]]) * span * cell_deg
        corner = (corner[~kept][:, None, :] + quarter).reshape(-1, 2)
        pieces, corner = _clip(np.repeat(pieces[~kept], 4), corner, span * cell_deg)
    return _table(done)


def _clip(
    geometries: Geometries, corner: NDArray[np.float64], size: float
) -> tuple[Geometries, NDArray[np.float64]]:
    """Polygonal parts of geometries inside their squares, and the corner of each part's square."""
    squares = shapely.box(corner[:, 0], corner[:, 1], corner[:, 0] + size, corner[:, 1] + size)
    parts, index = shapely.get_parts(shapely.intersection(geometries, squares), return_index=True)
    area = (shapely.get_type_id(parts) == shapely.GeometryType.POLYGON) & (shapely.area(parts) > 0)
    return parts[area], corner[index[area]]


def _table(done: list[tuple[NDArray[np.int64], int, Geometries]]) -> pa.Table:
    cell = np.concatenate([cells for cells, _, _ in done])
    span = np.concatenate([np.full(cells.size, value) for cells, value, _ in done])
    pieces = np.concatenate([pieces for _, _, pieces in done])
    order = np.lexsort((cell, span > 0))
    _, points, (rings, polygons) = shapely.to_ragged_array(pieces[order])
    point = pa.StructArray.from_arrays(
        [pa.array(points[:, 0].copy()), pa.array(points[:, 1].copy())], names=["x", "y"]
    )
    ring = pa.ListArray.from_arrays(pa.array(rings, pa.int32()), point)
    geometry = pa.ListArray.from_arrays(pa.array(polygons, pa.int32()), ring)
    return pa.table(
        {"cell": pa.array(cell[order], pa.int32()), "span": pa.array(span[order], pa.int16()),
         "geometry": geometry.cast(POLYGON)}, schema=LAND_SCHEMA,
    )  # fmt: skip
