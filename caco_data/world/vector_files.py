"""The user's own vector files (GeoParquet, GeoPackage, GeoJSON, Shapefile, CSV) as plain arrays.

The only `import geopandas` of the sampler, and only for files that are not ours.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from caco_data.errors import InputError

if TYPE_CHECKING:
    import geopandas as gpd


def read_vectors(path: str | os.PathLike[str], what: str) -> gpd.GeoDataFrame:
    """Read a vector file in longitude and latitude.

    Parameters
    ----------
    path : path
        Anything that geopandas reads, or CSV with columns `longitude` and `latitude`, degrees.
    what : str
        What the file holds, for messages: `city`, `land`, `region`, `locations`.

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
        raise InputError(f"No such {what} file", str(path), "Check the path")
    try:
        frame = _read(where)
    except InputError:
        raise
    except Exception as error:  # pyogrio, pyarrow and pandas each have their own
        reason = " ".join(str(error).split()).split(";")[0].rstrip(".")
        raise InputError(
            f"Cannot read the {what} file: {reason}",
            str(path),
            "Give a GeoParquet, GeoPackage, GeoJSON or Shapefile, or a CSV with longitude and "
            "latitude",
        ) from error
    if frame.crs is None:
        raise InputError(
            f"The {what} file says no CRS", str(path), "Save it with one (such as EPSG:4326)"
        )
    frame = frame[~(frame.geometry.is_empty | frame.geometry.isna())].to_crs(4326)
    if frame.empty:
        raise InputError(f"The {what} file holds nothing", str(path))
    return frame


def _read(path: Path) -> gpd.GeoDataFrame:
    import geopandas as gpd

    suffix = path.suffix.lower()
    if suffix == ".parquet":
        return gpd.read_parquet(path)
    if suffix == ".csv":
        import pandas as pd

        frame = pd.read_csv(
            path, keep_default_na=False, na_values={"longitude": "", "latitude": ""}
        )
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


def read_polygons(path: str | os.PathLike[str], what: str) -> list[Any]:
    """Polygons of a vector file, as shapely geometries in longitude and latitude, degrees.

    Raises
    ------
    InputError
        As `read_vectors`, and when the file holds no polygon.
    """
    geometry = read_vectors(path, what).geometry
    polygons = [shape for shape in geometry if shape.geom_type in ("Polygon", "MultiPolygon")]
    if not polygons:
        raise InputError(f"The {what} file holds no polygon", str(path), "Give polygons")
    return polygons
