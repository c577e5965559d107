"""The locations table as a file: GeoParquet, GeoJSON, GeoPackage or CSV, by the file's suffix.

The metadata are stored in the file (Parquet schema, GeoJSON member, GeoPackage layer metadata); for
CSV, in a second file with `.json` appended to the name. Files of points from other tools are read
too.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from caco_data.errors import InputError
from caco_data.grid import LATITUDE_MAX, LATITUDE_MIN, UTM_NORTH, UTM_SOUTH, utm_epsg
from caco_data.sampling.locations import LocationTable
from caco_data.world.geoparquet import (
    array_of,
    decode_points,
    encode_points,
    geo_header,
    integers_of,
)
from caco_data.world.vector_files import read_table

#: Key of the metadata in every format.
KEY = "caco_data"

_REMEDY = "Use points, with unique location_id values if there is such a column"


def write_locations(
    locations: LocationTable, path: str | os.PathLike[str], overwrite: bool = False
) -> None:
    """Write a table atomically: the file appears when it is complete.

    Parameters
    ----------
    locations : LocationTable
        Table to write.
    path : path
        `.parquet`, `.geojson`, `.gpkg` or `.csv`.
    overwrite : bool
        Replace a file with other content; a file with the same locations is always replaced.

    Raises
    ------
    InputError
        When the suffix is not supported, the folder is missing, or the file has other content.
    """
    where = Path(path)
    write = writer_of(where)
    if not where.parent.is_dir():
        raise InputError("No such folder", str(where.parent), "Create it first")
    if where.exists() and not overwrite and not _contains_same(where, locations):
        raise InputError(
            "The file exists and contains other locations", str(path),
            "Add --overwrite to replace it, or choose another name",
        )  # fmt: skip
    # GDAL selects the format by the suffix.
    temporary = where.with_name(f".{where.stem}.{os.getpid()}.tmp{where.suffix}")
    try:
        write(locations, temporary)
        if where.suffix.lower() == ".csv":
            sidecar(temporary).replace(sidecar(where))
        temporary.replace(where)
    finally:
        temporary.unlink(missing_ok=True)
        sidecar(temporary).unlink(missing_ok=True)


def writer_of(path: Path) -> Callable[[LocationTable, Path], None]:
    """Writer for the suffix of a path; InputError when the suffix is not supported."""
    writer = _WRITERS.get(path.suffix.lower())
    if writer is None:
        raise InputError(
            f"Locations cannot be written with the suffix {path.suffix!r}", str(path),
            f"Use {', '.join(_WRITERS)}",
        )  # fmt: skip
    return writer


def sidecar(path: Path) -> Path:
    """Path of the metadata of a CSV file."""
    return path.with_name(path.name + ".json")


def _contains_same(path: Path, locations: LocationTable) -> bool:
    try:
        existing = read_locations(path)
    except InputError:
        return False
    columns = ("location_id", "longitude", "latitude")
    return existing.metadata == locations.metadata and all(
        np.array_equal(getattr(existing, name), getattr(locations, name)) for name in columns
    )


def geoparquet_table(locations: LocationTable) -> pa.Table:
    """Table with the schema metadata of GeoParquet and those of the locations."""
    longitude, latitude = locations.longitude, locations.latitude
    box = (
        float(longitude.min()), float(latitude.min()),
        float(longitude.max()), float(latitude.max()),
    )  # fmt: skip
    metadata = {
        "geo": geo_header("WKB", "Point", box),
        KEY: json.dumps(locations.metadata),
    }
    return locations.table.replace_schema_metadata(metadata)


def _write_parquet(locations: LocationTable, path: Path) -> None:
    pq.write_table(geoparquet_table(locations), path, compression="zstd")


def _write_geojson(locations: LocationTable, path: Path) -> None:
    """One feature per line; the metadata are a foreign member of the collection (RFC 7946, 6.1)."""
    rows = locations.table.drop_columns(["geometry"]).to_pylist()
    points = zip(locations.longitude.tolist(), locations.latitude.tolist(), strict=True)
    with path.open("w", encoding="utf-8") as file:
        metadata = json.dumps(locations.metadata, ensure_ascii=False)
        file.write(f'{{"type": "FeatureCollection", "{KEY}": {metadata}, "features": [\n')
        for number, (row, point) in enumerate(zip(rows, points, strict=True)):
            feature = {
                "type": "Feature",
                "properties": row,
                "geometry": {"type": "Point", "coordinates": point},
            }
            file.write((",\n" if number else "") + json.dumps(feature, ensure_ascii=False))
        file.write("\n]}\n")


def _write_gpkg(locations: LocationTable, path: Path) -> None:
    import geopandas as gpd

    table = locations.table
    frame = gpd.GeoDataFrame(
        table.drop_columns(["geometry"]).to_pandas(),
        geometry=gpd.points_from_xy(locations.longitude, locations.latitude),
        crs=4326,
    )
    metadata = {KEY: json.dumps(locations.metadata)}
    frame.to_file(path, driver="GPKG", layer="locations", layer_metadata=metadata)


def _write_csv(locations: LocationTable, path: Path) -> None:
    names = [name for name in locations.table.column_names if name != "geometry"]
    columns = [locations.table[name].to_pylist() for name in names]
    columns += [locations.longitude.tolist(), locations.latitude.tolist()]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*names, "longitude", "latitude"])
        writer.writerows(zip(*columns, strict=True))
    sidecar(path).write_text(json.dumps(locations.metadata, indent=1), encoding="utf-8")


_WRITERS: dict[str, Callable[[LocationTable, Path], None]] = {
    ".parquet": _write_parquet,
    ".geojson": _write_geojson,
    ".gpkg": _write_gpkg,
    ".csv": _write_csv,
}


def read_locations(path: str | os.PathLike[str]) -> LocationTable:
    """Read a locations table made by `write_locations`, or a file of points from another tool.

    Parameters
    ----------
    path : path
        Any vector file of points with a CRS, or a CSV with `longitude` and `latitude` in degrees.
        Without a column `location_id` the rows are numbered; without `utm_epsg` it is computed.

    Returns
    -------
    LocationTable
        Ordered by `location_id`. Other columns are unchanged.

    Raises
    ------
    InputError
        When the file is missing or unreadable, contains other geometries than points, repeats a
        location_id, or has a point outside the UTM zones.
    """
    where = Path(path)
    table = read_table(where, "locations")
    try:
        found = _normalised(table, _read_metadata(where))
    except (ValueError, KeyError) as error:
        raise InputError(f"Cannot use the locations: {error}", str(path), _REMEDY) from error
    del table
    pa.default_memory_pool().release_unused()  # at a million rows, 90 MB of the buffers of reading
    return found


def _read_metadata(path: Path) -> dict[str, Any]:
    """Metadata that `write_locations` stored in a file; empty when there are none."""
    suffix = path.suffix.lower()
    found: Any = None
    if suffix == ".parquet":
        found = (pq.read_schema(path).metadata or {}).get(KEY.encode())
    elif suffix == ".csv" and sidecar(path).exists():
        found = sidecar(path).read_bytes()
    elif suffix == ".gpkg":
        from pyogrio import read_info  # type: ignore[import-untyped]

        found = (read_info(path)["layer_metadata"] or {}).get(KEY)
    elif suffix in (".geojson", ".json"):
        found = json.dumps(json.loads(path.read_bytes()).get(KEY, {}))
    metadata = json.loads(found) if found else {}
    return metadata if isinstance(metadata, dict) else {}


def _normalised(table: pa.Table, metadata: dict[str, Any]) -> LocationTable:
    longitude, latitude = decode_points(table["geometry"])
    if not longitude.size:
        raise ValueError("the file is empty")
    inside = (np.abs(longitude) <= 180) & (latitude >= LATITUDE_MIN) & (latitude <= LATITUDE_MAX)
    if not inside.all():
        row = int(np.argmin(inside))
        raise ValueError(
            f"row {row} is at longitude {longitude[row]:g}, latitude {latitude[row]:g}, outside "
            "the UTM zones"
        )
    number = np.arange(longitude.size, dtype=np.int64)
    if "location_id" in table.column_names:
        number = integers_of(table, "location_id")
    if number.min() < 0 or np.unique(number).size != number.size:
        raise ValueError("a location_id is negative or repeated")
    zone = utm_epsg(longitude, latitude)
    if "utm_epsg" in table.column_names:
        zone = integers_of(table, "utm_epsg").astype(np.int32)
    valid = (zone % 100 >= 1) & (zone % 100 <= 60)
    if not (valid & np.isin(zone - zone % 100, (UTM_NORTH, UTM_SOUTH))).all():
        raise ValueError("a utm_epsg is not in 32601..32660 or 32701..32760")
    order = np.argsort(number, kind="stable")
    own = {
        "location_id": array_of(number),
        "utm_epsg": array_of(zone),
        "geometry": encode_points(longitude, latitude),
    }
    columns = {name: table[name] for name in table.column_names}
    merged = pa.table({"location_id": own["location_id"], **columns, **own})
    if (order == np.arange(order.size)).all():
        return LocationTable(number, longitude, latitude, zone, metadata, merged)
    merged = merged.take(array_of(order))
    return LocationTable(
        number[order], longitude[order], latitude[order], zone[order], metadata, merged
    )
