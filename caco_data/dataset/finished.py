"""Return of a finished data set to an unfinished one: its tables, cut into the content of shards.

`verify --repair` and the extension of a data set use it. Tables and shards are read once, in step
with each other; the rows of a few shards are in memory.
"""

from __future__ import annotations

import io
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from caco_data.dataset.arrays import ArrayFormat
from caco_data.dataset.cursor import Cursor
from caco_data.dataset.index_files import stream_index
from caco_data.dataset.layout import (
    INDEX_SCHEMA,
    REJECTED,
    REJECTED_SCHEMA,
    TRUTH,
    shard_file,
    shard_name,
    stack_layout,
    truth_schema,
)
from caco_data.dataset.parquet_limits import stream_table
from caco_data.dataset.scan import scan_shard
from caco_data.dataset.shard_content import ShardContent
from caco_data.dataset.shards import Record, write_shard
from caco_data.dataset.work_folder import part_file, rejection_file, truth_file
from caco_data.storage import Storage, write_bytes, write_json


def contents(
    storage: Storage, meta: Mapping[str, Any], ids: NDArray[np.int64], use_index: bool = True
) -> Iterator[tuple[str, ShardContent]]:
    """Read the content of each shard, in order, with the name of the shard.

    Parameters
    ----------
    storage : Storage
        The data set.
    meta : mapping
        Its description.
    ids : numpy.ndarray of int64, shape (N,)
        All its locations, ascending.
    use_index : bool
        Whether to read index.parquet; the contents have no index rows otherwise.

    Raises
    ------
    ValueError
        When the rows of the tables are not in the order in which `download` writes them.
    """
    per_shard = int(meta["settings"]["locations_per_shard"])
    entries = {shard["name"]: shard for shard in meta["shards"]}
    rejected = _cursor(storage, REJECTED, REJECTED_SCHEMA)
    truth = _cursor(storage, TRUTH, truth_schema(meta["source"]), TRUTH in meta["tables"])
    index = Cursor(stream_index(storage) if use_index else [], INDEX_SCHEMA)
    for number, first in enumerate(range(0, ids.size, per_shard)):
        name, last = shard_name(number), int(ids[first : first + per_shard][-1])
        yield (
            name,
            ShardContent(
                rows=index.of_shard(name, per_shard * stack_layout(meta["settings"]).rows),
                rejected=rejected.up_to(last, per_shard).to_pylist(),
                truth=truth.up_to(last, per_shard),
                shard=entries.pop(name, None),
            ),
        )
    if entries or not all(cursor.is_at_end() for cursor in (rejected, truth, index)):
        raise ValueError("the shards are not in the order of the locations")


def _cursor(storage: Storage, name: str, schema: pa.Schema, read: bool = True) -> Cursor:
    return Cursor(stream_table(storage, name, schema) if read else [], schema)


def unpack(
    storage: Storage,
    name: str,
    content: ShardContent,
    formats: Mapping[str, ArrayFormat],
    wanted: Collection[int],
) -> None:
    """Write some locations of a shard as parts, and its rejections and ground truth.

    Parameters
    ----------
    storage : Storage
        The data set.
    name : str
        The shard; not read when no location is wanted.
    content : ShardContent
        Its content.
    formats : mapping
        Formats of its members (`member_formats`).
    wanted : collection of int
        Complete locations in the shard.

    Raises
    ------
    tarfile.TarError, ValueError
        When a wanted location cannot be read.
    """
    for row in content.rejected:
        write_json(storage, rejection_file(row["location_id"]), row)
    for row in content.truth.to_pylist():
        truth = {key: value for key, value in row.items() if key != "location_id"}
        write_json(storage, truth_file(row["location_id"]), truth)
    left = set(wanted)
    if not left:
        return
    with storage.open(shard_file(name)) as file:
        for entry in scan_shard(file, formats):
            if entry.location_id in left:
                left.remove(entry.location_id)
                part = io.BytesIO()
                write_shard(part, "", [Record.of(entry)])
                write_bytes(storage, part_file(entry.location_id), part.getvalue())
            if not left:  # the rest may be unreadable
                return
