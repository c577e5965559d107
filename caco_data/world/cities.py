"""The city table: GeoNames' cities of at least 15,000 people, or a user-supplied file."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from caco_data.errors import InputError
from caco_data.world.geoparquet import decode_points, integers_of
from caco_data.world.vector_files import read_table

#: GeoNames cities15000 (CC BY 4.0), see resources/NOTICE.md.
BUNDLED = Path(__file__).parent / "resources" / "cities15000.parquet"

_REMEDY = "Use a file with the columns name and population, and points (or longitude and latitude)"


@dataclass(frozen=True)
class Cities:
    """N cities in descending order of population, then in ascending order of id."""

    geonameid: NDArray[np.int64]
    """(N,), GeoNames id; the row number in a table without that column."""
    name: NDArray[np.object_]
    """(N,), str."""
    country: NDArray[np.object_]
    """(N,), ISO 3166 two-letter code, or the user's own value; empty when unknown."""
    population: NDArray[np.int64]
    """(N,), people."""
    longitude: NDArray[np.float64]
    """(N,), degrees east."""
    latitude: NDArray[np.float64]
    """(N,), degrees north."""

    def __len__(self) -> int:
        return self.population.size

    def take(self, rows: NDArray[Any]) -> Cities:
        """Subset of the cities, by positions or by a mask."""
        return Cities(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})


def load_cities(path: str | os.PathLike[str] | None = None, top: int | None = None) -> Cities:
    """Read a city table.

    Parameters
    ----------
    path : path, optional
        GeoParquet, CSV, GeoJSON, GeoPackage or Shapefile with the columns `name`, `population`
        and points (or `longitude` and `latitude`); `country` and `geonameid` are optional.
        Default: the bundled 34,006 cities.
    top : int, optional
        Number of the most populous cities to return; default all.

    Returns
    -------
    Cities

    Raises
    ------
    InputError
        When the file is missing, unreadable, or lacks a column or a value.
    """
    where = path or BUNDLED
    cities = _from_table(read_table(where, "city"), str(where))
    order = np.lexsort((cities.geonameid, -cities.population))
    return cities.take(order[:top])


def _from_table(table: pa.Table, where: str) -> Cities:
    missing = [name for name in ("name", "population") if name not in table.column_names]
    if missing:
        raise InputError(f"The city file has no column {missing[0]}", where, _REMEDY)
    if not table.num_rows:
        raise InputError("The city file is empty", where, _REMEDY)
    try:
        longitude, latitude = decode_points(table["geometry"])
        population = integers_of(table, "population")
        number = np.arange(table.num_rows, dtype=np.int64)
        if "geonameid" in table.column_names:
            number = integers_of(table, "geonameid")
        finite = np.isfinite(longitude) & np.isfinite(latitude) & (abs(latitude) <= 90)
        if not finite.all():
            raise ValueError(f"row {int(np.argmin(finite))} has no longitude and latitude")
    except ValueError as error:
        raise InputError(f"Cannot use the city file: {error}", where, _REMEDY) from error
    return Cities(
        geonameid=number,
        name=_strings(table, "name"),
        country=_strings(table, "country"),
        population=population,
        longitude=longitude,
        latitude=latitude,
    )


def _strings(table: pa.Table, column: str) -> NDArray[np.object_]:
    if column not in table.column_names:
        return np.full(table.num_rows, "", dtype=object)
    strings = ["" if value is None else str(value) for value in table[column].to_pylist()]
    return np.array(strings, dtype=object)
