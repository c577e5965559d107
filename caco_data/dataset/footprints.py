"""Footprints of tiles: the geometry column of index.parquet (GeoParquet 1.1)."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from caco_data.types import PATCH_PX

#: Name and type of the column: polygons in well-known binary, longitude and latitude (OGC:CRS84).
GEOMETRY = pa.field("geometry", pa.binary())
#: Metadata of a table with the column.
GEO_METADATA = {
    b"geo": json.dumps(
        {
            "version": "1.1.0",
            "primary_column": GEOMETRY.name,
            "columns": {GEOMETRY.name: {"encoding": "WKB", "geometry_types": ["Polygon"]}},
        }
    ).encode()
}
_UTM = r"^EPSG:32[67](0[1-9]|[1-5][0-9]|60)$"
#: A polygon of one ring of five points (OGC 06-103r4, 8.2), little endian, without padding.
_POLYGON = np.dtype(
    [
        ("little_endian", "u1"),
        ("kind", "<u4"),
        ("rings", "<u4"),
        ("points", "<u4"),
        ("ring", "<f8", (5, 2)),
    ]
)
_POLYGON_KIND = 3


def with_footprints(table: pa.Table, patch_px: int = PATCH_PX) -> pa.Table:
    """Add the footprints of tiles to index rows.

    Parameters
    ----------
    table : pyarrow.Table
        Index rows; those of a location are together.
    patch_px : int
        Side of a patch, 10 m pixels.

    Returns
    -------
    pyarrow.Table
        With the column `GEOMETRY`; null for tiles that are not in a UTM zone.
        Longitudes of a patch that crosses the antimeridian are above 180 degrees.
    """
    from caco_data.grid import to_lonlat, unwrap  # PROJ is not needed to read a data set

    usable = pc.and_(
        pc.fill_null(pc.match_substring_regex(table["crs"], _UTM), False),
        pc.equal(pc.fill_null(pc.list_value_length(table["affine"]), 0), 6),
    )
    rows = np.flatnonzero(usable.to_numpy(zero_copy_only=False))
    some = table.select(["crs", "affine"]).take(rows)
    affine = np.asarray(pc.list_flatten(some["affine"]), np.float64).reshape(-1, 6)
    epsg = np.asarray(
        pc.cast(pc.utf8_slice_codeunits(some["crs"], len("EPSG:")), pa.int32()), np.int32
    )
    first, of_row = _runs(np.column_stack([affine, epsg]))
    a, b, left, d, e, top = affine[first].T
    columns, lines = np.array([0, 1, 1, 0, 0]) * patch_px, np.array([0, 0, 1, 1, 0]) * patch_px
    x = left[:, None] + a[:, None] * columns + b[:, None] * lines
    y = top[:, None] + d[:, None] * columns + e[:, None] * lines
    longitudes, latitudes = to_lonlat(x, y, epsg[first][:, None])
    indices = np.full(table.num_rows, -1, np.int32)
    indices[rows] = of_row
    footprints = _well_known_binary(unwrap(longitudes, longitudes[:, :1]), latitudes)
    return table.append_column(GEOMETRY, footprints.take(pa.array(indices, mask=indices < 0)))


def _runs(values: NDArray[np.float64]) -> tuple[NDArray[np.intp], NDArray[np.int32]]:
    """First row of each run of equal rows, and the number of the run of each row."""
    new = np.ones(len(values), bool)
    new[1:] = (values[1:] != values[:-1]).any(axis=1)
    return np.flatnonzero(new), (np.cumsum(new) - 1).astype(np.int32)


def _well_known_binary(x: NDArray[np.float64], y: NDArray[np.float64]) -> pa.Array:
    """Encode rings, (N, 5), clockwise from the upper left, as polygons."""
    polygons = np.zeros(len(x), _POLYGON)
    polygons["little_endian"], polygons["kind"] = 1, _POLYGON_KIND
    polygons["rings"], polygons["points"] = 1, x.shape[1]
    # Exterior rings are counterclockwise.
    polygons["ring"][:, :, 0], polygons["ring"][:, :, 1] = x[:, ::-1], y[:, ::-1]
    offsets = np.arange(len(x) + 1, dtype=np.int32) * _POLYGON.itemsize
    buffers = [None, pa.py_buffer(offsets.tobytes()), pa.py_buffer(polygons.tobytes())]
    return pa.Array.from_buffers(pa.binary(), len(x), buffers)
