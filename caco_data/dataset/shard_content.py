"""Content of the tables for the locations of one shard, and its files in the folder `.work`.

A file has the index rows of its shards and, in the metadata, the other parts of their content.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from caco_data.dataset.index_files import OLD_NAMES, with_names
from caco_data.dataset.layout import CHANGE_MASK, INDEX_SCHEMA, TRUTH_SCHEMA, truth_schema
from caco_data.dataset.read_ahead import read_ahead, threads_for
from caco_data.dataset.tables import read_parquet, read_small_parquet
from caco_data.dataset.work_folder import ContentFile
from caco_data.storage import Storage

#: Shards whose content is joined to one file. To open a file takes about as long as to read the
#: content of two shards; `benchmarks/bench_size.py` measures the sum.
JOINED_SHARDS = 8
#: Keys of the metadata; the ground truth is separate, since resuming does not parse it.
_METADATA, _TRUTH = b"caco_data", b"caco_data_truth"


@dataclass(frozen=True)
class ShardContent:
    """Content of the tables for the locations of one finished shard."""

    rows: pa.Table
    """Index rows."""
    rejected: list[dict[str, Any]]
    """Rows of rejected.parquet."""
    truth: pa.Table
    """Rows of truth.parquet."""
    shard: dict[str, Any] | None
    """Entry of dataset.json: name, nbytes, sha256; None if all its locations are rejected."""


def write_contents(storage: Storage, first: int, contents: list[ShardContent]) -> None:
    """Write the content of consecutive finished shards to one file.

    Parameters
    ----------
    storage : Storage
        The data set.
    first : int
        Number of the first shard.
    contents : list of ShardContent
        Content of each shard.
    """
    meta = [
        {
            "rows": content.rows.num_rows,
            "rejected": content.rejected,
            "shard": content.shard,
        }
        for content in contents
    ]
    table = pa.concat_tables(content.rows for content in contents).combine_chunks()
    truth = [content.truth.to_pydict() for content in contents]
    table = table.replace_schema_metadata({_METADATA: json.dumps(meta), _TRUTH: json.dumps(truth)})
    with storage.writing(ContentFile(first, first + len(contents) - 1).name) as file:
        # The texts of a row are mostly different from those of the others.
        pq.write_table(table, file, use_dictionary=False, write_statistics=False)


def read_contents(
    storage: Storage, file: ContentFile, columns: list[str] | None = None
) -> list[ShardContent]:
    """Read the content of the shards of a file.

    Parameters
    ----------
    storage : Storage
        The data set.
    file : ContentFile
        The file.
    columns : list of str, optional
        Columns of the index rows to read; the ground truth is then left out. All if None.

    Raises
    ------
    ValueError
        When the file does not describe the content of its shards.
    """
    if columns is None:
        table = read_small_parquet(storage, file.name)
    else:
        table = read_parquet(storage, file.name, columns)
    meta = table.schema.metadata or {}
    names = INDEX_SCHEMA.names if columns is None else table.column_names
    table = with_names(table, [OLD_NAMES.get(name, name) for name in names])
    found = json.loads(meta.get(_METADATA, "[]"))
    count = file.last - file.first + 1
    if isinstance(found, dict):  # an unfinished data set of version 0.1
        truth = [pa.Table.from_pylist(found.pop("truth"), TRUTH_SCHEMA)]
        found = [{"rows": table.num_rows, **found}]
    elif columns is None:
        columnar = json.loads(meta.get(_TRUTH, "[]"))
        truth = [pa.Table.from_pydict(one, _schema(one)) for one in columnar]
    else:
        truth = [TRUTH_SCHEMA.empty_table()] * count
    if not len(found) == len(truth) == count:
        raise ValueError(f"{file.name} describes {len(found)} shards instead of {count}")
    table = table.replace_schema_metadata()
    contents = []
    start = 0
    for entry, rows in zip(found, truth, strict=True):
        end = start + entry.pop("rows")
        contents.append(ShardContent(table.slice(start, end - start), truth=rows, **entry))
        start = end
    return contents


def _schema(columns: Collection[str]) -> pa.Schema:
    return truth_schema({"truth_masks": CHANGE_MASK.name in columns})


def iter_contents(
    storage: Storage,
    files: Sequence[ContentFile],
    columns: list[str] | None = None,
    ahead: int = 2 * JOINED_SHARDS,
    threads: int | None = None,
) -> Iterator[tuple[ContentFile, list[ShardContent]]]:
    """Read files in order, up to `ahead` before they are used.

    By default they are read in threads from an object store only.
    """
    threads = threads_for(storage) if threads is None else threads
    found = read_ahead(lambda file: read_contents(storage, file, columns), files, threads, ahead)
    yield from zip(files, found, strict=True)


def join_contents(storage: Storage, number: int, finished: set[int]) -> None:
    """Join the files of `JOINED_SHARDS` shards, among them one that was finished just now.

    Nothing is done before all of them are finished.
    """
    first = number - number % JOINED_SHARDS
    if not finished.issuperset(range(first, first + JOINED_SHARDS)):
        return
    files = [ContentFile(i, i) for i in range(first, first + JOINED_SHARDS)]
    contents = [one for _, found in iter_contents(storage, files) for one in found]
    write_contents(storage, first, contents)
    for file in files:
        storage.remove(file.name)
