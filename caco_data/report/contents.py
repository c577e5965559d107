"""What a page shows of a data set, read from its tables into arrays."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from caco_data.dataset.layout import INDEX, LOCATIONS, REJECTED, REJECTED_SCHEMA
from caco_data.dataset.parquet_limits import dataset_errors
from caco_data.dataset.reader import Dataset
from caco_data.dataset.tables import read_parquet, read_table
from caco_data.errors import REPAIR_REMEDY, DatasetError
from caco_data.printable import printable
from caco_data.world.geoparquet import decode_points

#: Maximum length of the name of a place, characters.
_NAME = 100
_OPTIONAL = ("city", "country", "city_distance_m", "redraws")
#: Key of the sampler's settings in the metadata of the locations table.
_SAMPLER = b"caco_data"
_TILE_COLUMNS = ["location_id", "period", "acquired", "clear_fraction", "cloud_pct"]


@dataclass(frozen=True)
class Places:
    """N locations, ascending by id: the complete and the rejected ones."""

    location_id: NDArray[np.int64]
    longitude: NDArray[np.float64]
    """Degrees east."""
    latitude: NDArray[np.float64]
    """Degrees north."""
    city: list[str]
    """Name of the city with its country; empty if unknown."""
    country: list[str]
    distance_km: NDArray[np.float64] | None
    """Distance to the centre of the city, NaN if unknown; None without the column."""
    redraws: NDArray[np.int64] | None
    """Rejected draws of the sampler; None without the column."""
    sampler: dict[str, Any]
    """Metadata of the sampler; empty for a table of other software."""


@dataclass(frozen=True)
class Tiles:
    """R tiles in the order of the index."""

    location_id: NDArray[np.int64]
    period: NDArray[np.int8]
    """Position in `periods`."""
    periods: tuple[str, ...]
    """Names of the periods in the order of time."""
    acquired: NDArray[np.datetime64]
    """Time of the acquisition, UTC, in seconds."""
    clear_fraction: NDArray[np.float64]
    cloud_pct: NDArray[np.float64]


def read_places(dataset: Dataset) -> Places:
    """Read the locations table of a data set.

    Raises
    ------
    DatasetError
        When it is missing or unreadable, or lacks ids or points.
    """
    storage, where = dataset.storage, f"{dataset.root}/{LOCATIONS}"
    with dataset_errors(where):
        with storage.open(LOCATIONS) as file:
            schema = pq.read_schema(file)
        names = [name for name in _OPTIONAL if name in schema.names]
        table = read_parquet(storage, LOCATIONS, ["location_id", *names, "geometry"])
        longitude, latitude = decode_points(table["geometry"])
        ids = table["location_id"].to_numpy().astype(np.int64)
        order = np.argsort(ids, kind="stable")
        table = table.take(pa.array(order))
        columns = {name: table[name] for name in names}
        return Places(
            ids[order], longitude[order], latitude[order],
            _texts(columns.get("city"), ids.size), _texts(columns.get("country"), ids.size),
            _numbers(columns.get("city_distance_m"), 1e-3),
            _counts(columns.get("redraws")),
            _metadata(schema),
        )  # fmt: skip


def _texts(column: pa.ChunkedArray | None, size: int) -> list[str]:
    if column is None or not pa.types.is_string(column.type):
        return [""] * size
    return [printable(text or "")[:_NAME] for text in column.to_pylist()]


def _numbers(column: pa.ChunkedArray | None, scale: float) -> NDArray[np.float64] | None:
    if column is None or not pa.types.is_floating(column.type):
        return None
    values: NDArray[np.float64] = column.to_numpy() * scale
    return values


def _counts(column: pa.ChunkedArray | None) -> NDArray[np.int64] | None:
    if column is None or not pa.types.is_integer(column.type) or column.null_count:
        return None
    values: NDArray[np.int64] = column.to_numpy().astype(np.int64)
    return values


def _metadata(schema: pa.Schema) -> dict[str, Any]:
    try:
        found = json.loads((schema.metadata or {})[_SAMPLER])
    except (KeyError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def read_tiles(dataset: Dataset) -> Tiles:
    """Read dates and clouds of all tiles.

    Raises
    ------
    DatasetError
        When the index is unreadable or lacks values.
    """
    table = dataset.index.read(_TILE_COLUMNS)
    if any(column.null_count for column in table.columns):
        raise DatasetError("Rows of the index lack values", INDEX, REPAIR_REMEDY)
    found = pc.unique(table["period"]).to_pylist()
    known = [period for period in dataset.layout.periods if period in found]
    periods = (*known, *(period for period in found if period not in known))
    codes = pc.index_in(table["period"], pa.array(periods, pa.string()))
    return Tiles(
        table["location_id"].to_numpy(), codes.to_numpy().astype(np.int8), tuple(periods),
        table["acquired"].to_numpy().astype("datetime64[s]"),
        table["clear_fraction"].to_numpy(), table["cloud_pct"].to_numpy(),
    )  # fmt: skip


def read_rejected(dataset: Dataset) -> dict[int, str]:
    """Reason of each rejected location.

    Raises
    ------
    DatasetError
        When the table cannot be read.
    """
    if not dataset.storage.exists(REJECTED):
        return {}
    table = read_table(dataset.storage, REJECTED, REJECTED_SCHEMA)
    return dict(zip(table["location_id"].to_pylist(), table["reason"].to_pylist(), strict=True))


def read_changed(dataset: Dataset) -> dict[int, float]:
    """True changed fraction by location; empty for data sets without ground truth."""
    truth = dataset.truth()
    if truth is None:
        return {}
    fractions = (fraction or 0.0 for fraction in truth["changed_fraction"].to_pylist())
    return dict(zip(truth["location_id"].to_pylist(), fractions, strict=True))
