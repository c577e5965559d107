"""The folder `.work` of an unfinished data set: names and content of its files.

::

    000000123.tar             a complete location: a shard with this location only
    000000123.truth.json      its ground truth, written before the .tar (simulated source)
    000000123.rejected.json   a rejected location
    000000.parquet            a finished shard: its index rows and, in the metadata, its size and
                              digest and the rejections and ground truth of its locations
"""

from __future__ import annotations

import json
import re
from array import array
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from caco_data.dataset.tables import read_parquet, read_small_parquet
from caco_data.storage import Storage

WORK = ".work"
_METADATA = b"caco_data"
#: Endings of the files of a location.
_KINDS = ("tar", "truth.json", "rejected.json")


def part_file(location_id: int) -> str:
    """Name of the shard with one complete location."""
    return f"{WORK}/{location_id:09d}.tar"


def truth_file(location_id: int) -> str:
    """Name of the ground truth of a complete location."""
    return f"{WORK}/{location_id:09d}.truth.json"


def rejection_file(location_id: int) -> str:
    """Name of the rejection of a location."""
    return f"{WORK}/{location_id:09d}.rejected.json"


def shard_index_file(shard: int) -> str:
    """Name of the index rows of a finished shard."""
    return f"{WORK}/{shard:06d}.parquet"


@dataclass(frozen=True)
class WorkFiles:
    """Files in the folder."""

    shards: list[int]
    """Numbers of the finished shards, ascending."""
    parts: NDArray[np.int64]
    """Locations with a part, ascending."""
    truths: NDArray[np.int64]
    """Locations with a ground truth, ascending."""
    rejections: NDArray[np.int64]
    """Locations with a rejection, ascending."""


def list_work(storage: Storage) -> WorkFiles:
    """List the folder; other files are ignored."""
    shards: list[int] = []
    found: dict[str, array[int]] = {kind: array("q") for kind in _KINDS}
    for name in storage.names(WORK):
        stem = name.removeprefix(f"{WORK}/")
        if re.fullmatch(r"\d{6}\.parquet", stem):
            shards.append(int(stem[:6]))
        elif re.fullmatch(r"\d{9}\.\w+(\.json)?", stem) and stem[10:] in found:
            found[stem[10:]].append(int(stem[:9]))
    return WorkFiles(shards, *(np.sort(np.array(found[kind], np.int64)) for kind in _KINDS))


@dataclass(frozen=True)
class ShardIndex:
    """Content of the tables for the locations of one finished shard."""

    rows: pa.Table
    """Index rows."""
    rejected: list[dict[str, Any]]
    """Rows of rejected.parquet."""
    truth: list[dict[str, Any]]
    """Rows of truth.parquet."""
    shard: dict[str, Any] | None
    """Entry of dataset.json: name, nbytes, sha256; None if all its locations are rejected."""


def write_shard_index(storage: Storage, shard: int, index: ShardIndex) -> None:
    """Write the index of a finished shard."""
    meta = {"rejected": index.rejected, "truth": index.truth, "shard": index.shard}
    table = index.rows.replace_schema_metadata({_METADATA: json.dumps(meta)})
    with storage.writing(shard_index_file(shard)) as file:
        pq.write_table(table, file)


def read_shard_index(storage: Storage, shard: int, columns: list[str] | None = None) -> ShardIndex:
    """Read the index of a finished shard, with some columns of its rows only."""
    name = shard_index_file(shard)
    if columns is None:
        table = read_small_parquet(storage, name)
    else:
        table = read_parquet(storage, name, columns)
    meta = json.loads(table.schema.metadata[_METADATA])
    return ShardIndex(table.replace_schema_metadata(), **meta)
