"""Items of a stac-geoparquet file, instead of those of an API: a run can be repeated exactly."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import shapely

from caco_data.errors import InputError
from caco_data.sources.stac.items import Item, trimmed
from caco_data.sources.stac.mgrs import Area

_REMEDY = "Write it with rustac or stac-geoparquet"
#: Columns that are not properties.
_OUTER = ("id", "type", "stac_version", "stac_extensions", "links", "assets", "bbox", "geometry",
          "collection")  # fmt: skip
#: Properties with the name of a tile, and the text before the name.
_TILES = (("grid:code", "MGRS-"), ("s2:mgrs_tile", ""))


class CatalogueFile:
    """A file of items; may be used from several threads.

    Parameters
    ----------
    path : str
        The file.

    Raises
    ------
    InputError
        When it cannot be read or lacks a required column.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        try:
            self._data = ds.dataset(path, format="parquet")
            names = set(self._data.schema.names)
        except (OSError, pa.ArrowInvalid) as error:
            raise InputError(f"Unreadable catalogue: {error}", f"--catalog {path}") from error
        if missing := {"id", "geometry", "assets", "datetime"} - names:
            raise InputError(
                f"The catalogue lacks the column {sorted(missing)[0]}", f"--catalog {path}", _REMEDY
            )
        self._tile = next(((name, text) for name, text in _TILES if name in names), None)

    @property
    def knows_tiles(self) -> bool:
        """Whether a column has the name of the tile."""
        return self._tile is not None

    def items(self, area: Area, year: int) -> list[Item]:
        """Return the trimmed items of an area and a year."""
        first, end = (datetime(y, 1, 1, tzinfo=UTC) for y in (year, year + 1))
        kind = self._data.schema.field("datetime").type
        condition = (ds.field("datetime") >= pa.scalar(first, kind)) & (
            ds.field("datetime") < pa.scalar(end, kind)
        )
        if self._tile and area.names:
            names = [self._tile[1] + name for name in area.names]
            condition &= ds.field(self._tile[0]).isin(names)
        rows = self._data.to_table(filter=condition, use_threads=False).to_pylist()
        found = [trimmed(_item(row), Path(self._path).absolute().as_uri()) for row in rows]
        return sorted(found, key=lambda item: (item["collection"], item["id"]))


def _item(row: dict[str, Any]) -> Item:
    """Return the item of a row (stac-geoparquet specification)."""
    geometry = row["geometry"]
    properties = {k: v for k, v in row.items() if k not in _OUTER and v is not None}
    properties["datetime"] = row["datetime"].isoformat()
    return {
        "id": row["id"],
        "collection": row.get("collection") or "",
        "geometry": shapely.geometry.mapping(shapely.from_wkb(geometry)) if geometry else None,
        "properties": properties,
        "links": row.get("links") or [],
        "assets": {name: asset for name, asset in row["assets"].items() if asset},
    }


def file_digest(path: str) -> str:
    """Return the SHA-256 of a file; InputError when it cannot be read."""
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(
            f"Unreadable catalogue: {error.strerror}", f"--catalog {path}", _REMEDY
        ) from error
