"""Writer of the tables of a finished data set, from the content of its shards, in order.

The memory does not depend on the number of locations, except for the short rows of rejected.parquet
and truth.parquet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from caco_data.dataset.footprints import with_footprints
from caco_data.dataset.hashing import HashingWriter
from caco_data.dataset.index_files import FILE_SCHEMA
from caco_data.dataset.layout import (
    INDEX,
    REJECTED,
    REJECTED_SCHEMA,
    ROWS_PER_GROUP,
    TRUTH,
)
from caco_data.dataset.read_ahead import threads_for
from caco_data.dataset.shard_content import iter_contents
from caco_data.dataset.tables import regrouped, write_table
from caco_data.dataset.work_folder import ContentFile
from caco_data.errors import RENEW_REMEDY, DatasetError
from caco_data.storage import Storage
from caco_data.types import PATCH_PX, StackLayout

#: Index rows that are read ahead of the ones being written.
_AHEAD_ROWS = 2 * ROWS_PER_GROUP
#: Columns with few different values in a row group; a dictionary of the others only takes time.
_REPEATED = [
    "affine.list.element" if field.name == "affine" else field.name
    for field in FILE_SCHEMA
    if field.name not in ("image_id", "acquired", "cloud_pct", "clear_fraction")
]


def write_tables(
    storage: Storage,
    files: Sequence[ContentFile],
    count: int,
    locations_per_shard: int,
    on_shard: Callable[[int, int], None],
    layout: StackLayout,
) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Write index.parquet, rejected.parquet and, with a ground truth, truth.parquet.

    Parameters
    ----------
    storage : Storage
        Folder of the data set.
    files : sequence of ContentFile
        Files with the content of the finished shards, in order.
    count : int
        Number of shards of the data set; the content of further ones is ignored.
    locations_per_shard : int
        Locations of a shard.
    on_shard : callable
        Called with the number of shards that are in the index and the number of all shards: before
        the first shard and after each.
    layout : StackLayout
        Periods, tiles per period and size of the patches.

    Returns
    -------
    shards : list of dict
        Entries of dataset.json.
    digests : dict of str to str
        Hexadecimal SHA-256 by table.

    Raises
    ------
    DatasetError
        When the content of a shard is missing.
    """
    pa.default_memory_pool().release_unused()  # of what was read before
    shards: list[dict[str, Any]] = []
    rejected: list[pa.Table] = []
    truth: list[pa.Table] = []

    def rows() -> Iterator[pa.Table]:
        most = max((file.last - file.first + 1 for file in files), default=1)
        rows_per_file = most * locations_per_shard * layout.rows
        ahead = max(1, _AHEAD_ROWS // rows_per_file)
        threads = max(1, threads_for(storage))  # reads while the index is written
        done = 0
        on_shard(done, count)
        for file, contents in iter_contents(storage, files, ahead=ahead, threads=threads):
            if file.first != done:
                break
            contents = contents[: count - done]
            for content in contents:
                if content.shard:
                    yield content.rows
                    shards.append(content.shard)
            reasons = [row for content in contents for row in content.rejected]
            rejected.append(pa.Table.from_pylist(reasons, REJECTED_SCHEMA))
            # One table for each file: a table of a few rows takes several kilobytes.
            truth.append(pa.concat_tables(one.truth for one in contents).combine_chunks())
            done += len(contents)
            on_shard(done, count)
            pa.default_memory_pool().release_unused()
        if done != count:
            where = f"{storage.root}/{ContentFile(done, done).name}"
            raise DatasetError("Missing file of a finished shard", where, RENEW_REMEDY)

    digests = {INDEX: write_index(storage, rows(), layout.patch_px)}
    digests[REJECTED] = write_table(storage, REJECTED, pa.concat_tables(rejected))
    if any(table.num_rows for table in truth):
        digests[TRUTH] = write_table(storage, TRUTH, pa.concat_tables(truth))
    return shards, digests


def write_index(storage: Storage, tables: Iterator[pa.Table], patch_px: int = PATCH_PX) -> str:
    """Write index.parquet from tables of its rows, in order; return its hexadecimal SHA-256.

    All row groups but the last have `ROWS_PER_GROUP` rows, whatever the sizes of the tables.
    """
    with storage.writing(INDEX) as file:
        hashing = HashingWriter(file)
        with pq.ParquetWriter(
            hashing,
            FILE_SCHEMA,
            compression="zstd",
            use_dictionary=_REPEATED,
            write_statistics=["location_id"],  # those that `Index.of` uses
        ) as writer:
            for group in regrouped(tables, ROWS_PER_GROUP):
                writer.write_table(with_footprints(group, patch_px))
    return hashing.sha256
