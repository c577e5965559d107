"""Verification of a data set: digests, shapes, positions and counts."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from caco_data.dataset.arrays import ArrayFormat, member_formats
from caco_data.dataset.description import read_description
from caco_data.dataset.hashing import HashingReader, file_fault
from caco_data.dataset.layout import (
    COLUMN_PREFIX,
    DESCRIPTION,
    EVENTS,
    INDEX,
    INDEX_SCHEMA,
    LOCATIONS,
    REJECTED,
    SHARDS,
    TRUTH,
    shard_file,
)
from caco_data.dataset.scan import Entry, scan_shard
from caco_data.dataset.shards import Row, check_digests, record_json, table_rows
from caco_data.dataset.tables import read_table
from caco_data.errors import FINISH_REMEDY, DatasetError
from caco_data.grid import SNAP_M, false_northing_m
from caco_data.sentinel2 import PIXEL_M
from caco_data.storage import Storage
from caco_data.types import PERIODS, TILES

#: Problem of a file that does not belong to the data set.
FOREIGN = "not part of the data set"


@dataclass(frozen=True, slots=True)
class Damage:
    """One problem found in a data set."""

    where: str
    """File, relative to the data set, and the location if only one is affected."""
    what: str
    """Description of the problem."""

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Result of `verify`."""

    damages: tuple[Damage, ...]
    broken_shards: frozenset[str]
    """Names of the data set's shards with any damage."""
    good_locations: frozenset[int]
    """Locations without any damage."""
    checked: int
    """Number of locations checked."""


def check_entry(entry: Entry, rows: list[Row], formats: Mapping[str, ArrayFormat]) -> None:
    """Compare a location's members with its index rows; ValueError states the difference."""
    if record_json(rows) != entry.json:
        raise ValueError("the json member and index.parquet differ")
    check_digests(rows, entry.arrays)
    if missing := sorted(formats.keys() - entry.arrays.keys()):
        raise ValueError(f"member '{missing[0]}' is missing")
    for name, data in entry.arrays.items():
        try:
            formats[name].decode(data)
        except ValueError as error:
            raise ValueError(f"member '{name}': {error}") from error
    offsets = {name.split(".")[0]: offset for name, offset in entry.offsets.items()}
    for row in rows:
        for suffix, prefix in COLUMN_PREFIX.items():
            if row[prefix + "offset"] != offsets.get(f"{row['period']}{suffix}"):
                raise ValueError("an offset in index.parquet does not match the member")
        code = row["crs"].removeprefix("EPSG:")
        if not (code.isdigit() and int(code) // 100 in (326, 327) and 1 <= int(code) % 100 <= 60):
            raise ValueError(f"{row['crs']} is not a UTM zone")
        a, b, left, d, e, top = row["transform"]
        north = top - false_northing_m(int(code))
        if (a, b, d, e) != (PIXEL_M, 0, 0, -PIXEL_M) or left % SNAP_M or north % SNAP_M:
            raise ValueError(f"transform {row['transform']} is not on the {SNAP_M} m grid")


def verify(storage: Storage, on_shard: Callable[[int, int], None] = lambda i, n: None) -> Verdict:
    """Check a whole data set.

    Parameters
    ----------
    storage : Storage
        The data set.
    on_shard : callable
        Called after each shard with the numbers of checked and of all shards.

    Returns
    -------
    Verdict

    Raises
    ------
    InputError
        When there is no data set.
    DatasetError
        When its description is damaged, or it is unfinished and cannot be checked.
    """
    meta = read_description(storage)
    if not meta.get("complete"):
        raise DatasetError("Unfinished data set", str(storage.root), FINISH_REMEDY)
    damages = [*_check_files(storage, meta), *_check_tables(storage, meta)]
    # Without a readable index the arrays are compared with the json members.
    broken_index = any(damage.where == INDEX for damage in damages)
    index = None if broken_index else read_table(storage, INDEX, INDEX_SCHEMA)
    formats = member_formats(meta["settings"])
    broken: set[str] = set()
    good: set[int] = set()
    checked = 0
    for number, shard in enumerate(meta["shards"], 1):
        rows = None if index is None else _rows_of(index, shard["name"])
        found, sound = _check_shard(storage, shard, rows, formats)
        damages += found
        good |= sound
        checked += len(rows if rows is not None else sound)
        if found:
            broken.add(shard["name"])
        on_shard(number, len(meta["shards"]))
    return Verdict(tuple(damages), frozenset(broken), frozenset(good), checked)


def _check_files(storage: Storage, meta: dict[str, Any]) -> Iterator[Damage]:
    """Yield the files that do not belong to the data set."""
    known = {DESCRIPTION, EVENTS, *meta["tables"]}
    known |= {f"{SHARDS}/{shard['name']}" for shard in meta["shards"]}
    for name in [*storage.names(), *storage.names(SHARDS)]:
        if name not in known:
            yield Damage(name, FOREIGN)


def _check_tables(storage: Storage, meta: dict[str, Any]) -> Iterator[Damage]:
    """Yield the damages of the tables: digests and row counts."""
    counts = meta["counts"]
    expected = {
        INDEX: counts["complete"] * len(PERIODS) * TILES,
        REJECTED: sum(counts["rejected"].values()),
        LOCATIONS: counts["locations"],
        TRUTH: counts["complete"],
    }
    for name, digest in meta["tables"].items():
        if fault := file_fault(storage, name, digest):
            yield Damage(name, fault)
            continue
        with storage.open(name) as file:
            n = pq.read_metadata(file).num_rows
        if n != expected[name]:
            yield Damage(name, f"{n} rows instead of {expected[name]} (dataset.json)")


def _rows_of(index: pa.Table, shard: str) -> dict[int, list[Row]]:
    """Index rows of a shard by location."""
    rows: dict[int, list[Row]] = {}
    for row in table_rows(index.filter(pc.equal(index["shard"], shard))):
        rows.setdefault(row["location_id"], []).append(row)
    return rows


def _check_shard(
    storage: Storage,
    shard: dict[str, Any],
    rows: dict[int, list[Row]] | None,
    formats: Mapping[str, ArrayFormat],
) -> tuple[list[Damage], set[int]]:
    """Damages of a shard, and its undamaged locations."""
    name = shard_file(shard["name"])
    if not storage.exists(name):
        return [Damage(name, "missing shard")], set()
    damages: list[Damage] = []
    seen: set[int] = set()
    good: set[int] = set()
    with storage.open(name) as file:
        reader = HashingReader(file)
        try:
            for entry in scan_shard(reader, formats):
                seen.add(entry.location_id)
                if fault := _entry_fault(entry, rows, formats):
                    damages.append(Damage(f"{name}, location {entry.location_id}", fault))
                else:
                    good.add(entry.location_id)
        except (tarfile.TarError, ValueError, EOFError) as error:
            damages.append(Damage(name, f"broken tar: {error}"))
        reader.read_to_end()
    if reader.nbytes != shard["nbytes"]:
        what = "truncated" if reader.nbytes < shard["nbytes"] else "too long"
        damages.append(Damage(name, f"{what}: {reader.nbytes} of {shard['nbytes']} bytes"))
    missing = sorted((rows or {}).keys() - seen)
    damages += [Damage(f"{name}, location {i}", "missing from the shard") for i in missing]
    if reader.sha256 != shard["sha256"] and not damages:
        damages.append(Damage(name, "bytes between its members have changed (SHA-256)"))
    return damages, good


def _entry_fault(
    entry: Entry, rows: dict[int, list[Row]] | None, formats: Mapping[str, ArrayFormat]
) -> str | None:
    """Fault of a location in a shard, None if there is none."""
    if rows is not None and entry.location_id not in rows:
        return "not in index.parquet"
    try:
        here = json.loads(entry.json) if rows is None else rows[entry.location_id]
        check_entry(entry, here, formats)
    except (ValueError, KeyError, TypeError) as error:
        return str(error) or type(error).__name__
    return None
