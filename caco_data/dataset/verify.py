"""Verification of a data set: digests, shapes, positions and counts.

The shards and the index are read once, in step with each other: the time is linear in the size of
the data set, and the memory does not depend on it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from caco_data.dataset.arrays import member_formats
from caco_data.dataset.cursor import Cursor
from caco_data.dataset.description import read_description
from caco_data.dataset.description_check import max_shard_nbytes
from caco_data.dataset.hashing import file_fault
from caco_data.dataset.layout import (
    CARD,
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
from caco_data.dataset.parquet_limits import stream_table
from caco_data.dataset.shard_check import Damage, ShardRows, check_shard
from caco_data.errors import FINISH_REMEDY, DatasetError
from caco_data.storage import Storage
from caco_data.types import PERIODS, TILES

#: Problem of a file that does not belong to the data set.
FOREIGN = "not part of the data set"
#: Index rows of a location.
ROWS = len(PERIODS) * TILES


@dataclass(frozen=True, slots=True)
class Verdict:
    """Result of `verify`; its size depends on the number of problems only."""

    damages: tuple[Damage, ...]
    broken_shards: dict[str, frozenset[int]]
    """Undamaged locations of each shard with any damage, by the shard's name."""
    good: int
    """Number of locations without any damage."""
    checked: int
    """Number of locations checked."""


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
        When its description is damaged, or it is unfinished and cannot be checked, or a folder in
        it is a link.
    """
    meta = read_description(storage)
    if not meta.get("complete"):
        raise DatasetError("Unfinished data set", str(storage.root), FINISH_REMEDY)
    irregular = storage.irregular() | storage.irregular(SHARDS)
    damages = [*_check_files(storage, meta, irregular), *_check_tables(storage, meta, irregular)]
    # Without a readable index the arrays are compared with the json members.
    usable = INDEX in meta["tables"] and not any(damage.where == INDEX for damage in damages)
    index = _Index(storage, meta) if usable else None
    formats = member_formats(meta["settings"])
    max_nbytes = max_shard_nbytes(meta["settings"])
    broken: dict[str, frozenset[int]] = {}
    good = checked = 0
    for number, shard in enumerate(meta["shards"], 1):
        name = shard["name"]
        rows = index.rows(name) if index else None
        if shard_file(name) in irregular:  # already among the damages
            broken[name] = frozenset()
        else:
            found = check_shard(storage, shard, rows, formats, max_nbytes)
            damages += found.damages
            good += len(found.good)
            checked += len(rows.location_ids if rows else found.good)
            if found.damages:
                broken[name] = found.good
        on_shard(number, len(meta["shards"]))
    if index and (fault := index.fault()):
        damages.append(Damage(INDEX, fault))
    return Verdict(tuple(damages), broken, good, checked)


class _Index:
    """Index rows of the shards, one shard after another."""

    def __init__(self, storage: Storage, meta: dict[str, Any]) -> None:
        self._cursor = Cursor(stream_table(storage, INDEX, INDEX_SCHEMA), INDEX_SCHEMA)
        self._most = meta["settings"]["locations_per_shard"] * ROWS
        self._fault: str | None = None

    def rows(self, shard: str) -> ShardRows | None:
        """Rows of a shard; None when the index is not usable."""
        if self._fault is None:
            try:
                return ShardRows(self._cursor.of_shard(shard, self._most))
            except (ValueError, DatasetError) as error:
                self._fault = error.what if isinstance(error, DatasetError) else str(error)
        return None

    def fault(self) -> str | None:
        """Fault of the table once the rows of all shards have been read."""
        try:
            if self._fault is None and not self._cursor.is_at_end():
                self._fault = "its rows are not those of the shards, in their order"
        except DatasetError as error:
            self._fault = error.what
        return self._fault


def _check_files(
    storage: Storage, meta: dict[str, Any], irregular: dict[str, str]
) -> Iterator[Damage]:
    """Yield the files that do not belong to the data set, and links and special files."""
    parts = {*meta["tables"], *(shard_file(shard["name"]) for shard in meta["shards"])}
    for name, kind in irregular.items():
        yield Damage(name, f"{kind}, not a regular file" if name in parts else FOREIGN)
    for name in [*storage.names(), *storage.names(SHARDS)]:
        if name not in parts | {DESCRIPTION, CARD, EVENTS}:
            yield Damage(name, FOREIGN)


def _check_tables(
    storage: Storage, meta: dict[str, Any], irregular: dict[str, str]
) -> Iterator[Damage]:
    """Yield the damages of the tables: digests and row counts."""
    counts = meta["counts"]
    expected = {
        INDEX: counts["complete"] * ROWS,
        REJECTED: sum(counts["rejected"].values()),
        LOCATIONS: counts["locations"],
        TRUTH: counts["complete"],
    }
    for name, digest in meta["tables"].items():
        if name in irregular:
            continue
        fault = file_fault(storage, name, digest) or _fault_of_rows(storage, name, expected[name])
        if fault:
            yield Damage(name, fault)


def _fault_of_rows(storage: Storage, name: str, expected: int) -> str | None:
    try:
        with storage.open(name) as file:
            n = pq.ParquetFile(file).metadata.num_rows
    except (OSError, pa.ArrowException, ValueError) as error:
        return f"unreadable: {error}"
    return None if n == expected else f"{n} rows instead of {expected} (dataset.json)"
