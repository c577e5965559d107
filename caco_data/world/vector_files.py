"""User-supplied vector files (GeoParquet, GeoPackage, GeoJSON, Shapefile, CSV) as plain arrays.

Imports geopandas only for files that are not GeoParquet points in longitude and latitude.
"""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from caco_data.errors import InputError
from caco_data.world.geoparquet import is_wkb_lonlat

if TYPE_CHECKING:
    import geopandas as gpd

_REMEDY = "Use a GeoParquet, GeoPackage, GeoJSON or Shapefile, or a CSV with longitude and latitude"


def read_table(path: str | os.PathLike[str], kind: str) -> pa.Table:
    """Read a vector file as a table with a column `geometry` of WKB in longitude and latitude.

    Parameters
    ----------
    path : path
        Any file that `read_vectors` reads.
    kind : str
        Kind of the file's content, for messages: `city`, `locations`.

    Raises
    ------
    InputError
        As `read_vectors`.
    """
    where = Path(path)
    if where.suffix.lower() == ".parquet" and where.exists():
        try:
            file = pq.ParquetFile(where)
            if is_wkb_lonlat(file.schema_arrow):
                return file.read()
        except (pa.ArrowInvalid, OSError) as error:
            raise InputError(f"Cannot read the {kind} file: {error}", str(path), _REMEDY) from error
        if b"geo" not in (file.schema_arrow.metadata or {}):
            raise InputError(f"The {kind} file is not GeoParquet", str(path), _REMEDY)
    frame = read_vectors(path, kind)
    if frame.geometry.name != "geometry":
        frame = frame.rename_geometry("geometry")
    return pa.table(frame.to_arrow(index=False, geometry_encoding="WKB"))


def read_vectors(path: str | os.PathLike[str], kind: str) -> gpd.GeoDataFrame:
    """Read a vector file in longitude and latitude.

    Parameters
    ----------
    path : path
        Any file that geopandas reads, or a CSV with columns `longitude` and `latitude`, degrees.
    kind : str
        Kind of the file's content, for messages: `city`, `land`, `region`, `locations`.

    Returns
    -------
    geopandas.GeoDataFrame
        In EPSG:4326, without rows that have no geometry.

    Raises
    ------
    InputError
        When the file is missing, unreadable, empty or has no CRS.
    """
    where = Path(path)
    if not where.exists():
        raise InputError(f"No such {kind} file", str(path), "Check the path")
    try:
        frame = _read(where)
    except InputError:
        raise
    except Exception as error:  # pyogrio, pyarrow and pandas raise exceptions of their own
        reason = " ".join(str(error).split()).split(";")[0].rstrip(".")
        raise InputError(f"Cannot read the {kind} file: {reason}", str(path), _REMEDY) from error
    if frame.crs is None:
        raise InputError(
            f"The {kind} file has no CRS", str(path), "Save it with one, such as EPSG:4326"
        )
    frame = frame[~(frame.geometry.is_empty | frame.geometry.isna())].to_crs(4326)
    if frame.empty:
        raise InputError(f"The {kind} file is empty", str(path))
    return frame


def _read(path: Path) -> gpd.GeoDataFrame:
    import geopandas as gpd

    suffix = path.suffix.lower()
    if suffix == ".parquet":
        return gpd.read_parquet(path)
    if suffix == ".csv":
        import pandas as pd

        # pandas 2 would round the last bit of the numbers.
        degrees = dict.fromkeys(("longitude", "latitude"), _number)
        frame = pd.read_csv(path, keep_default_na=False, converters=degrees)
        missing = {"longitude", "latitude"} - set(frame.columns)
        if missing:
            raise InputError(
                f"No column {' and no column '.join(sorted(missing))}",
                str(path),
                "Name the columns longitude and latitude, in degrees",
            )
        points = gpd.points_from_xy(frame["longitude"], frame["latitude"])
        return gpd.GeoDataFrame(frame, geometry=points, crs=4326)
    return gpd.read_file(path)


def read_polygons(path: str | os.PathLike[str], kind: str) -> list[Any]:
    """Polygons of a vector file, as shapely geometries in longitude and latitude, degrees.

    Raises
    ------
    InputError
        As `read_vectors`, and when the file contains no polygon.
    """
    geometry = read_vectors(path, kind).geometry
    polygons = [shape for shape in geometry if shape.geom_type in ("Polygon", "MultiPolygon")]
    if not polygons:
        raise InputError(f"The {kind} file contains no polygons", str(path), "Use polygons")
    return polygons


def _number(text: str) -> float:
    """Parse a number; NaN for an empty field."""
    return float(text) if text.strip() else math.nan
