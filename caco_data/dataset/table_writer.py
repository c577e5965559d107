"""Writer of the tables of a finished data set, from the indexes of its shards, one after another.

The memory does not depend on the number of locations, except for the short rows of rejected.parquet
and truth.parquet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from caco_data.dataset.hashing import HashingWriter
from caco_data.dataset.layout import (
    INDEX,
    INDEX_SCHEMA,
    REJECTED,
    REJECTED_SCHEMA,
    ROWS_PER_GROUP,
    TRUTH,
    TRUTH_SCHEMA,
)
from caco_data.dataset.read_ahead import read_ahead, threads_for
from caco_data.dataset.tables import write_table
from caco_data.dataset.work_folder import ShardIndex, read_shard_index
from caco_data.storage import Storage
from caco_data.types import PERIODS, TILES

#: Index rows that are read ahead of the ones being written.
_AHEAD_ROWS = 2 * ROWS_PER_GROUP
#: Columns with few different values in a row group; a dictionary of the others only takes time.
_REPEATED = [
    "transform.list.element" if field.name == "transform" else field.name
    for field in INDEX_SCHEMA
    if field.name not in ("image_id", "acquired", "cloud_pct", "clear_fraction")
]


def write_tables(
    storage: Storage,
    numbers: range,
    locations_per_shard: int,
    on_shard: Callable[[int, int], None],
) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Write index.parquet, rejected.parquet and, with a ground truth, truth.parquet.

    Parameters
    ----------
    storage : Storage
        Folder of the data set.
    numbers : range
        Numbers of the shards; the index of each is in the folder `.work`.
    locations_per_shard : int
        Locations of a shard.
    on_shard : callable
        Called with the number of shards that are in the index and the number of all shards: before
        the first shard and after each.

    Returns
    -------
    shards : list of dict
        Entries of dataset.json.
    digests : dict of str to str
        Hexadecimal SHA-256 by table.
    """
    pa.default_memory_pool().release_unused()  # of what was read before
    shards: list[dict[str, Any]] = []
    rejected, truth = _Rows(REJECTED_SCHEMA), _Rows(TRUTH_SCHEMA)

    def rows() -> Iterator[pa.Table]:
        rows_per_shard = locations_per_shard * len(PERIODS) * TILES
        ahead = max(1, _AHEAD_ROWS // rows_per_shard)
        on_shard(0, len(numbers))
        found = read_ahead(_reader(storage), numbers, threads_for(storage), ahead)
        for done, index in enumerate(found, 1):
            if index.shard:
                yield index.rows
                shards.append(index.shard)
            rejected.add(index.rejected)
            truth.add(index.truth)
            on_shard(done, len(numbers))

    digests = {INDEX: write_index(storage, rows())}
    digests[REJECTED] = write_table(storage, REJECTED, rejected.table())
    truths = truth.table()
    if truths.num_rows:
        digests[TRUTH] = write_table(storage, TRUTH, truths)
    return shards, digests


class _Rows:
    """Collects rows: a few thousand as dictionaries, the others as a table, which is smaller."""

    def __init__(self, schema: pa.Schema) -> None:
        self._schema = schema
        self._tables = [schema.empty_table()]
        self._waiting: list[dict[str, Any]] = []

    def add(self, rows: list[dict[str, Any]]) -> None:
        """Add rows."""
        self._waiting += rows
        if len(self._waiting) >= ROWS_PER_GROUP:
            self._convert()

    def table(self) -> pa.Table:
        """All rows, as one chunk, because the pages of a Parquet file follow the chunks."""
        self._convert()
        return pa.concat_tables(self._tables).combine_chunks()

    def _convert(self) -> None:
        self._tables.append(pa.Table.from_pylist(self._waiting, schema=self._schema))
        self._waiting = []


def _reader(storage: Storage) -> Callable[[int], ShardIndex]:
    return lambda number: read_shard_index(storage, number)


def write_index(storage: Storage, tables: Iterator[pa.Table]) -> str:
    """Write index.parquet from tables of its rows, in order; return its hexadecimal SHA-256.

    All row groups but the last have `ROWS_PER_GROUP` rows, whatever the sizes of the tables.
    """
    with storage.writing(INDEX) as file:
        hashing = HashingWriter(file)
        with pq.ParquetWriter(
            hashing,
            INDEX_SCHEMA,
            compression="zstd",
            use_dictionary=_REPEATED,
            write_statistics=["location_id"],  # those that `Index.of` uses
        ) as writer:
            for group in regrouped(tables):
                writer.write_table(group)
    return hashing.sha256


def regrouped(tables: Iterator[pa.Table], rows: int = ROWS_PER_GROUP) -> Iterator[pa.Table]:
    """Join and cut tables to tables of `rows` rows, each of one chunk; the last may be shorter."""
    waiting: list[pa.Table] = []
    count = 0
    for table in tables:
        waiting.append(table)
        count += table.num_rows
        if count >= rows:
            joined = pa.concat_tables(waiting)
            whole = count - count % rows
            for first in range(0, whole, rows):
                yield joined.slice(first, rows).combine_chunks()
            waiting, count = [joined.slice(whole)], count - whole
    if count:
        yield pa.concat_tables(waiting).combine_chunks()
