"""Verification of a data set: digests, shapes, positions and counts.

The shards and the index are read once, in step with each other: the time is linear in the size of
the data set, and the rows of a few shards are in memory. Threads check several shards at a time.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from caco_data.dataset.arrays import member_formats
from caco_data.dataset.cursor import Cursor
from caco_data.dataset.description import read_description
from caco_data.dataset.description_check import max_shard_nbytes
from caco_data.dataset.hashing import file_fault
from caco_data.dataset.index_files import stream_index
from caco_data.dataset.layout import (
    CARD,
    DESCRIPTION,
    EVENTS,
    INDEX,
    INDEX_SCHEMA,
    LOCATIONS,
    REJECTED,
    SHARDS,
    SPLIT,
    TRUTH,
    shard_file,
    stack_layout,
)
from caco_data.dataset.shard_check import Damage, ShardRows, ShardVerdict, check_shard
from caco_data.dataset.split import split_fault
from caco_data.errors import FINISH_REMEDY, DatasetError
from caco_data.storage import Storage

#: Problem of a file that does not belong to the data set.
FOREIGN = "not part of the data set"
#: Shards that are checked at the same time.
_THREADS = min(8, os.cpu_count() or 1)


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
    merged: bool = False
    """Whether the data set was made by `merge`."""


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
    broken: dict[str, frozenset[int]] = {}
    good = checked = 0
    for number, found in enumerate(_check_shards(storage, meta, index), 1):
        # A link or a special file is already among the damages.
        damages += [damage for damage in found.damages if damage.where not in irregular]
        good += len(found.good)
        checked += found.checked
        if found.damages:
            broken[found.name] = found.good
        on_shard(number, len(meta["shards"]))
    if index and (fault := index.fault()):
        damages.append(Damage(INDEX, fault))
    return Verdict(tuple(damages), broken, good, checked, merged="merged" in meta)


class _Index:
    """Index rows of the shards, one shard after another."""

    def __init__(self, storage: Storage, meta: dict[str, Any]) -> None:
        layout = stack_layout(meta["settings"])
        self._cursor = Cursor(stream_index(storage), INDEX_SCHEMA)
        self._most = meta["settings"]["locations_per_shard"] * layout.rows
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


def _check_shards(
    storage: Storage, meta: dict[str, Any], index: _Index | None
) -> Iterator[ShardVerdict]:
    """Check the shards in order, a few at a time in threads: SHA-256 is computed in parallel."""
    formats = member_formats(meta["settings"])
    layout = stack_layout(meta["settings"])
    max_nbytes = max_shard_nbytes(meta["settings"])
    ahead: deque[Future[ShardVerdict]] = deque()
    with ThreadPoolExecutor(_THREADS) as pool:
        for shard in meta["shards"]:
            rows = index.rows(shard["name"]) if index else None
            ahead.append(
                pool.submit(check_shard, storage, shard, rows, formats, max_nbytes, layout)
            )
            if len(ahead) > _THREADS:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()


def _check_files(
    storage: Storage, meta: dict[str, Any], irregular: dict[str, str]
) -> Iterator[Damage]:
    """Yield the files that do not belong to the data set, and links and special files."""
    parts = {*meta["tables"], *(shard_file(shard["name"]) for shard in meta["shards"])}
    for name, kind in irregular.items():
        yield Damage(name, f"{kind}, not a regular file" if name in parts else FOREIGN)
    parts |= {DESCRIPTION, CARD, EVENTS, SPLIT}
    for name in [*storage.names(), *storage.names(SHARDS)]:
        if name not in parts:
            yield Damage(name, FOREIGN)


def _check_tables(
    storage: Storage, meta: dict[str, Any], irregular: dict[str, str]
) -> Iterator[Damage]:
    """Yield the damages of the tables: digests and row counts."""
    counts = meta["counts"]
    expected = {
        INDEX: counts["complete"] * stack_layout(meta["settings"]).rows,
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
    if SPLIT in irregular or not storage.exists(SPLIT):
        return
    if fault := split_fault(storage, meta["sha256"], counts["complete"]):
        yield Damage(SPLIT, fault)


def _fault_of_rows(storage: Storage, name: str, expected: int) -> str | None:
    try:
        with storage.open(name) as file:
            n = pq.ParquetFile(file).metadata.num_rows
    except (OSError, pa.ArrowException, ValueError) as error:
        return f"unreadable: {error}"
    return None if n == expected else f"{n} rows instead of {expected} (dataset.json)"
