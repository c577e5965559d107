"""The city table: GeoNames' cities of 15,000 people and more, or a file of the user's own."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from caco_data.errors import InputError
from caco_data.world.geoparquet import decode_points, is_plain, values_of

#: GeoNames cities15000 (CC BY 4.0), see resources/NOTICE.md.
BUNDLED = Path(__file__).parent / "resources" / "cities15000.parquet"

_REMEDY = "Give a file with the columns name and population, and points (or longitude and latitude)"


@dataclass(frozen=True)
class Cities:
    """N cities, the most populous first; equal ones in the order of their ids."""

    geonameid: NDArray[np.int64]
    """(N,), GeoNames id; of a user's table without that column, the row number."""
    name: NDArray[np.object_]
    """(N,), str."""
    country: NDArray[np.object_]
    """(N,), ISO 3166 two-letter code, or whatever the user's table says; empty when unknown."""
    population: NDArray[np.int64]
    """(N,), people."""
    longitude: NDArray[np.float64]
    """(N,), degrees east."""
    latitude: NDArray[np.float64]
    """(N,), degrees north."""

    def __len__(self) -> int:
        return self.population.size

    def take(self, rows: NDArray[Any]) -> Cities:
        """Some of the cities, by positions or by a mask."""
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
        How many of the most populous to keep; default all.

    Returns
    -------
    Cities

    Raises
    ------
    InputError
        When the file is missing, unreadable, or lacks a column or a value.
    """
    table = pq.ParquetFile(BUNDLED).read() if path is None else _read(Path(path))
    cities = _from_table(table, str(path or BUNDLED))
    order = np.lexsort((cities.geonameid, -cities.population))
    return cities.take(order[:top])


def _read(path: Path) -> pa.Table:
    """Table with `geometry` as WKB, whatever the file's format."""
    if path.suffix.lower() == ".parquet" and path.exists():
        try:
            table = pq.ParquetFile(path).read()
        except (pa.ArrowInvalid, OSError) as error:
            raise InputError(f"Cannot read the city file: {error}", str(path), _REMEDY) from error
        if is_plain(table.schema):
            return table
        if "geometry" not in table.column_names:
            raise InputError("The city file has no geometry", str(path), _REMEDY)
    from caco_data.world.vector_files import read_vectors

    return pa.table(read_vectors(path, "city").to_arrow(index=False, geometry_encoding="WKB"))


def _from_table(table: pa.Table, where: str) -> Cities:
    missing = [name for name in ("name", "population") if name not in table.column_names]
    if missing:
        raise InputError(f"The city file has no column {missing[0]}", where, _REMEDY)
    if not table.num_rows:
        raise InputError("The city file holds nothing", where, _REMEDY)
    try:
        longitude, latitude = decode_points(table["geometry"])
        population = _integers(table, "population")
        number = np.arange(table.num_rows, dtype=np.int64)
        if "geonameid" in table.column_names:
            number = _integers(table, "geonameid")
        finite = np.isfinite(longitude) & np.isfinite(latitude) & (abs(latitude) <= 90)
        if not finite.all():
            raise ValueError(f"row {int(np.argmin(finite))} has no longitude and latitude")
    except (ValueError, pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise InputError(f"The city file cannot be used: {error}", where, _REMEDY) from error
    return Cities(
        geonameid=number,
        name=_words(table, "name"),
        country=_words(table, "country"),
        population=population,
        longitude=longitude,
        latitude=latitude,
    )


def _integers(table: pa.Table, column: str) -> NDArray[np.int64]:
    values = table[column]
    if values.null_count:
        raise ValueError(f"a {column} is missing")
    # The cast alone imports pyarrow.compute, which costs as much as reading the whole table.
    return values_of(values if values.type == pa.int64() else values.cast(pa.int64()))


def _words(table: pa.Table, column: str) -> NDArray[np.object_]:
    if column not in table.column_names:
        return np.full(table.num_rows, "", dtype=object)
    words = ["" if word is None else str(word) for word in table[column].to_pylist()]
    return np.array(words, dtype=object)
