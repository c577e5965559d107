"""Loading of the land mask: the bundled land, already cut, or a file of polygons, cut on loading.

The bundled land needs numpy and pyarrow only; shapely and geopandas are imported for other files.
"""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from caco_data.world.geoparquet import values_of
from caco_data.world.land_mask import COAST, LAND, Floats, LandMask, expand

#: Natural Earth 1:10m land, cut by `tools.build_tables`.
BUNDLED = Path(__file__).parent / "resources" / "land.parquet"

#: Side of a cell of the bundled file, degrees. Loading it and testing 100,000 points near cities
#: took 290 ms with cells of 1 degree, 130 with 0.5, 95 with 0.25, 125 with 0.125.
CELL_DEG = 0.25


def mask_of(table: pa.Table, cell_deg: float) -> LandMask:
    """Land mask from a table made by `caco_data.world.subdivide`."""
    rows, columns = round(180 / cell_deg), round(360 / cell_deg)
    cell = values_of(table["cell"]).astype(np.int64)
    span = values_of(table["span"]).astype(np.int64)
    polygons = table["geometry"].combine_chunks()
    rings, points = polygons.values, polygons.values.values
    ring_start = values_of(rings.offsets).astype(np.int64)

    # Pieces of coast cells are first, then squares of `span` by `span` cells of land.
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
    """Read the land mask; cached, so that the same path returns the same object.

    Parameters
    ----------
    path : path, optional
        Vector file of polygons with a CRS; cutting it takes 20 s for Natural Earth 1:10m.
        Default: the bundled Natural Earth 1:10m land, already cut.

    Returns
    -------
    LandMask

    Raises
    ------
    InputError
        When the file cannot be read, has no CRS or contains no polygons.
    """
    if path is None:
        return mask_of(pq.ParquetFile(BUNDLED).read(), CELL_DEG)
    from caco_data.world.subdivide import subdivide
    from caco_data.world.vector_files import read_polygons

    return mask_of(subdivide(read_polygons(path, "land"), CELL_DEG), CELL_DEG)


def rings_near(
    longitude_min: float, latitude_min: float, longitude_max: float, latitude_max: float
) -> list[Floats]:
    """Return the outlines of the bundled land near a box; see `LandMask.rings_near`."""
    return load_land().rings_near(longitude_min, latitude_min, longitude_max, latitude_max)
