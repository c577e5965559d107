"""Check of one shard: the tar, and each location against its index rows."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from caco_data.dataset.arrays import ArrayFormat
from caco_data.dataset.hashing import HashingReader
from caco_data.dataset.index_files import earlier_row, old_row, renamed
from caco_data.dataset.layout import (
    COLUMN_PREFIX,
    NO_MASK,
    shard_file,
)
from caco_data.dataset.origin import Origin
from caco_data.dataset.scan import Entry, scan_shard
from caco_data.dataset.shards import Row, check_digests, record_json, rows_table, table_rows
from caco_data.errors import DatasetError
from caco_data.grid import SNAP_M, false_northing_m
from caco_data.sentinel2 import PIXEL_M
from caco_data.storage import Storage
from caco_data.types import StackLayout


@dataclass(frozen=True, slots=True)
class Damage:
    """One problem found in a data set."""

    where: str
    """File, relative to the data set, and the location if only one is affected."""
    what: str
    """Description of the problem."""

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


class ShardRows:
    """Index rows of one shard by location.

    Parameters
    ----------
    table : pyarrow.Table
        Rows of the index; those of one location are together.
    """

    def __init__(self, table: pa.Table) -> None:
        self._table = table
        ids = pc.fill_null(table["location_id"], -1).to_numpy()
        starts = np.flatnonzero(np.diff(ids, prepend=ids[:1] - 1))
        ends = np.append(starts, ids.size)[1:]
        self._span = dict(
            zip(ids[starts].tolist(), zip(starts.tolist(), ends.tolist(), strict=True), strict=True)
        )

    @property
    def location_ids(self) -> frozenset[int]:
        """Locations of the shard."""
        return frozenset(self._span)

    def of(self, location_id: int, most: int) -> list[Row]:
        """Rows of a location, at most so many; none if it is not in the index."""
        start, end = self._span.get(location_id, (0, 0))
        # More rows than a location has are not those of its json member in any case.
        return table_rows(self._table.slice(start, min(end - start, most)))


@dataclass(frozen=True, slots=True)
class ShardVerdict:
    """Result of the check of one shard."""

    name: str
    """File name of the shard."""
    damages: tuple[Damage, ...]
    good: frozenset[int]
    """Locations without any damage."""
    checked: int
    """Number of its locations in the index, or without an index in the shard."""


def check_shard(
    storage: Storage,
    shard: Mapping[str, Any],
    rows: ShardRows | None,
    formats: Mapping[str, ArrayFormat],
    max_nbytes: int,
    layout: StackLayout,
) -> ShardVerdict:
    """Check a shard; one location at a time is in memory.

    Parameters
    ----------
    storage : Storage
        The data set.
    shard : mapping
        Its entry of dataset.json: name, nbytes, sha256.
    rows : ShardRows or None
        Its index rows; without them the arrays are compared with the json members.
    formats : mapping
        Array members of a location, from `member_formats`.
    max_nbytes : int
        Maximum size of a shard; longer files are not read.
    layout : StackLayout
        Periods and tiles of each location.
    """
    name = shard_file(shard["name"])
    if fault := _fault_of_file(storage, name, max_nbytes):
        checked = len(rows.location_ids) if rows else 0
        return ShardVerdict(shard["name"], (Damage(name, fault),), frozenset(), checked)
    origin = Origin.of(shard)
    damages: list[Damage] = []
    seen: set[int] = set()
    good: set[int] = set()
    with storage.open(name) as file:
        reader = HashingReader(file)
        try:
            for entry in scan_shard(reader, formats):
                location_id = entry.location_id + origin.location_offset
                seen.add(location_id)
                here = None if rows is None else rows.of(location_id, layout.rows + 1)
                if fault := _fault_of_entry(entry, origin, here, formats, layout):
                    damages.append(Damage(f"{name}, location {location_id}", fault))
                else:
                    good.add(location_id)
        except (tarfile.TarError, ValueError) as error:
            damages.append(Damage(name, f"broken tar: {error}"))
        reader.read_to_end()
    if reader.nbytes != shard["nbytes"]:
        what = "truncated" if reader.nbytes < shard["nbytes"] else "too long"
        damages.append(Damage(name, f"{what}: {reader.nbytes} of {shard['nbytes']} bytes"))
    missing = sorted(rows.location_ids - seen) if rows else []
    damages += [Damage(f"{name}, location {i}", "missing from the shard") for i in missing]
    if reader.sha256 != shard["sha256"] and not damages:
        damages.append(Damage(name, "bytes between its members have changed (SHA-256)"))
    checked = len(rows.location_ids if rows else good)
    return ShardVerdict(shard["name"], tuple(damages), frozenset(good), checked)


def _fault_of_file(storage: Storage, name: str, max_nbytes: int) -> str | None:
    """Fault of a shard that is not read."""
    try:
        if not storage.exists(name):
            return "missing shard"
    except DatasetError as error:  # a link
        return error.what
    if (nbytes := storage.size(name)) > max_nbytes:
        return f"too long: {nbytes} bytes, the settings permit {max_nbytes}"
    return None


def _fault_of_entry(
    entry: Entry,
    origin: Origin,
    rows: list[Row] | None,
    formats: Mapping[str, ArrayFormat],
    layout: StackLayout,
) -> str | None:
    """Fault of a location with some index rows in a shard, None if there is none."""
    try:
        here = parse_rows(entry.json) if rows is None else [origin.original(row) for row in rows]
        if not here:
            return "not in index.parquet"
        check_entry(entry, origin.shard, here, formats, layout)
    except (ValueError, TypeError, RecursionError) as error:
        return str(error) or type(error).__name__
    return None


def parse_rows(data: bytes) -> list[Row]:
    """Parse a json member.

    Raises
    ------
    ValueError
        When it does not contain index rows, written as by `record_json`.
    """
    try:
        rows = table_rows(rows_table(renamed(row) for row in json.loads(data)))
        same = _is_json_of(rows, data)
    except (
        ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError,
        pa.ArrowException,
    ) as error:  # fmt: skip
        raise ValueError("the json member does not contain index rows") from error
    if not same:
        raise ValueError("the json member does not contain index rows")
    return rows


def _is_json_of(rows: list[Row], data: bytes) -> bool:
    """Whether a json member has these rows, written by this version or an earlier one."""
    return any(data == record_json(map(row_of, rows)) for row_of in (dict, earlier_row, old_row))


def check_entry(
    entry: Entry,
    shard: str,
    rows: list[Row],
    formats: Mapping[str, ArrayFormat],
    layout: StackLayout,
) -> None:
    """Compare a location's members with its index rows; ValueError states the difference."""
    # Parsing is faster than encoding; NaN differs from itself.
    if json.loads(entry.json) != rows and not _is_json_of(rows, entry.json):
        raise ValueError("the json member and index.parquet differ")
    if [(row["period"], row["t"]) for row in rows] != layout.order:
        expected = " and ".join(f"{layout.tiles} {period}" for period in layout.periods)
        raise ValueError(f"the index rows are not those of {expected} tiles")
    if any(row["location_id"] != entry.location_id or row["shard"] != shard for row in rows):
        raise ValueError("the index rows are those of another location or shard")
    check_digests(rows, entry.arrays)
    _check_arrays(entry, formats)
    for row in rows:
        _check_row(row, entry)


def _check_arrays(entry: Entry, formats: Mapping[str, ArrayFormat]) -> None:
    if missing := sorted(formats.keys() - entry.arrays.keys()):
        raise ValueError(f"member '{missing[0]}' is missing")
    for name, data in entry.arrays.items():
        try:
            formats[name].decode(data)
        except ValueError as error:
            raise ValueError(f"member '{name}': {error}") from error


def _check_row(row: Row, entry: Entry) -> None:
    """Check the positions, the CRS and the transform of an index row."""
    members = {
        name.split(".")[0]: (offset, len(entry.arrays[name]))
        for name, offset in entry.offsets.items()
    }
    for suffix, prefix in COLUMN_PREFIX.items():
        expected = members.get(f"{row['period']}{suffix}", (None, None))
        if (row[prefix + "offset"], row[prefix + "nbytes"]) != expected:
            raise ValueError("an offset or a size in index.parquet does not match the member")
    if row["cloud_mask"] == NO_MASK:
        _check_imported(row)
    else:
        _check_grid(row)


def _check_imported(row: Row) -> None:
    """Check the grid of an imported tile, which is that of its file, and may be unknown."""
    crs, affine = row["crs"], row["affine"]
    if crs is None and affine is None:
        return
    if crs is None or not affine or len(affine) != 6 or None in affine:
        raise ValueError(f"the CRS {crs} and the affine transform {affine} give no position")
    a, b, _, d, e, _ = affine
    if not np.isfinite(affine).all() or a * e == b * d:
        raise ValueError(f"the affine transform {affine} has no pixel size")


def _check_grid(row: Row) -> None:
    """Check that a tile is on the UTM grid of patches."""
    code = (row["crs"] or "").removeprefix("EPSG:")
    if not (code.isdecimal() and int(code) // 100 in (326, 327) and 1 <= int(code) % 100 <= 60):
        raise ValueError(f"{row['crs']} is not a UTM zone")
    affine = row["affine"]
    if not affine or len(affine) != 6 or None in affine:
        raise ValueError(f"{affine} is not an affine transform")
    a, b, left, d, e, top = affine
    north = top - false_northing_m(int(code))
    if (a, b, d, e) != (PIXEL_M, 0, 0, -PIXEL_M) or left % SNAP_M or north % SNAP_M:
        raise ValueError(f"the affine transform {affine} is not on the {SNAP_M} m grid")
