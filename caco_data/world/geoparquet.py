"""GeoParquet 1.1 points in numpy and pyarrow: WKB, schema metadata, columns without pandas.

Hand-written for speed: a process that reads and writes 100,000 locations takes twice as long with
geopandas, mostly for imports (benchmarks/bench_world.py). Files in other encodings or coordinate
systems are read with geopandas (`vector_files`).
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

#: Little-endian WKB of a point: byte order 1, type 1, x, y (OGC 06-103r4, section 8.2).
WKB_POINT = np.dtype([("order", "u1"), ("type", "<u4"), ("x", "<f8"), ("y", "<f8")])

#: Identifiers of a CRS of longitude and latitude, in this order.
LONGITUDE_LATITUDE = ({"authority": "OGC", "code": "CRS84"}, {"authority": "EPSG", "code": 4326})

Floats = NDArray[np.float64]


def values_of(column: pa.Array | pa.ChunkedArray) -> NDArray[Any]:
    """Numbers of a column without nulls; pyarrow's `to_numpy` would import pandas (0.25 s)."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    return np.from_dlpack(column)


def integers_of(table: pa.Table, name: str) -> NDArray[np.int64]:
    """Column of whole numbers (N,), stored as integers, floats or text.

    Raises
    ------
    ValueError
        When a value is missing or is not a whole number.
    """
    column = table[name]
    if column.null_count:
        raise ValueError(f"a {name} is missing")
    if not pa.types.is_integer(column.type):  # the cast imports pyarrow.compute
        try:
            column = column.cast(pa.int64())
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise ValueError(f"column {name} contains a value that is not an integer") from error
    return values_of(column).astype(np.int64)


def array_of(values: NDArray[Any]) -> pa.Array:
    """Column of contiguous numbers (N,); `pyarrow.array` would import pandas."""
    return pa.Array.from_buffers(
        pa.from_numpy_dtype(values.dtype), values.size, [None, pa.py_buffer(values)]
    )


def strings_of(words: NDArray[np.object_]) -> pa.Array:
    """Column of strings (N,)."""
    encoded = [word.encode() for word in words]
    offsets = np.cumsum([0, *(len(word) for word in encoded)], dtype=np.int32)
    return pa.Array.from_buffers(
        pa.string(), len(encoded), [None, pa.py_buffer(offsets), pa.py_buffer(b"".join(encoded))]
    )


def encode_points(longitude: Floats, latitude: Floats) -> pa.Array:
    """Points (N,), degrees, as a binary column of WKB."""
    records = np.zeros(longitude.size, dtype=WKB_POINT)
    records["order"] = records["type"] = 1
    records["x"], records["y"] = longitude, latitude
    offsets = np.arange(longitude.size + 1, dtype=np.int32) * WKB_POINT.itemsize
    return pa.Array.from_buffers(
        pa.binary(), longitude.size, [None, pa.py_buffer(offsets), pa.py_buffer(records)]
    )


def decode_points(column: pa.ChunkedArray) -> tuple[Floats, Floats]:
    """Longitude and latitude (N,), degrees, of a binary column of WKB points.

    Raises
    ------
    ValueError
        When a value is missing or is not a little-endian two-dimensional point.
    """
    if not (pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type)):
        raise ValueError(f"the geometry column has type {column.type} instead of binary")
    values = column.combine_chunks()
    width = np.int64 if pa.types.is_large_binary(column.type) else np.int32
    offsets = np.frombuffer(values.buffers()[1], width)[values.offset :][: len(values) + 1]
    if values.null_count or (np.diff(offsets) != WKB_POINT.itemsize).any():
        raise ValueError("a geometry is not a point")
    records = np.frombuffer(
        values.buffers()[2] or b"", WKB_POINT, len(values), int(offsets[0]) if len(values) else 0
    )
    if (records["order"] != 1).any() or (records["type"] != 1).any():
        raise ValueError("a geometry is not a point")
    return records["x"].astype(np.float64), records["y"].astype(np.float64)


def geo_header(
    encoding: str, geometry_type: str, bbox: tuple[float, float, float, float] | None = None
) -> bytes:
    """Value of the schema metadata key `geo` for a column `geometry` in EPSG:4326."""
    from pyproj import CRS

    column: dict[str, Any] = {
        "encoding": encoding,
        "geometry_types": [geometry_type],
        "crs": CRS.from_epsg(4326).to_json_dict(),
    }
    if bbox is not None:
        column["bbox"] = list(bbox)
    header = {
        "version": "1.1.0",
        "primary_column": "geometry",
        "columns": {"geometry": column},
    }
    return json.dumps(header).encode()


def is_wkb_lonlat(schema: pa.Schema) -> bool:
    """Whether a GeoParquet schema has a column `geometry` of WKB in longitude and latitude."""
    try:
        header = json.loads((schema.metadata or {})[b"geo"])
        column = header["columns"]["geometry"]
        # The default CRS of GeoParquet is OGC:CRS84: EPSG:4326 with longitude first.
        identifier = column["crs"]["id"] if "crs" in column else LONGITUDE_LATITUDE[0]
    except (KeyError, ValueError, TypeError):
        return False
    return column.get("encoding") == "WKB" and identifier in LONGITUDE_LATITUDE
