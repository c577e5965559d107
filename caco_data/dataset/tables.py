"""Reading and writing of the Parquet tables of a data set."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import IO

import pyarrow as pa
import pyarrow.parquet as pq

from caco_data.dataset.hashing import HashingWriter
from caco_data.dataset.parquet_limits import check_footer, stream_table
from caco_data.errors import DatasetError
from caco_data.storage import Storage

#: Rows of a row group of the tables other than index.parquet.
_ROWS_PER_GROUP = 100_000


def read_parquet(storage: Storage, name: str, columns: list[str] | None = None) -> pa.Table:
    """Read a table, or some of its columns, in the calling thread only.

    Arrow's threads release the Python file later. If Python exits at that moment, the process ends
    with SIGABRT ("terminate called without an active exception").
    """
    with storage.open(name) as file:
        return _read(file, columns)


def read_small_parquet(storage: Storage, name: str) -> pa.Table:
    """Read a small table; its file is read at once, which is faster."""
    return _read(pa.BufferReader(storage.read(name)))


def _read(source: IO[bytes] | pa.BufferReader, columns: list[str] | None = None) -> pa.Table:
    parquet = pq.ParquetFile(source)
    check_footer(parquet.metadata, columns)
    return parquet.read(columns, use_threads=False)


def read_table(
    storage: Storage, name: str, schema: pa.Schema, max_rows: int | None = None
) -> pa.Table:
    """Read a table.

    Parameters
    ----------
    storage : Storage
        The data set.
    name : str
        The table.
    schema : pyarrow.Schema
        Its columns.
    max_rows : int, optional
        Maximum number of rows, from the counts in dataset.json.

    Raises
    ------
    DatasetError
        When it is missing, unreadable, not of the schema, or has more rows or larger values than
        permitted.
    """
    batches: list[pa.RecordBatch] = []
    rows = 0
    for batch in stream_table(storage, name, schema):
        batches.append(batch)
        rows += batch.num_rows
        if max_rows is not None and rows > max_rows:
            what = f"More than {max_rows} rows (dataset.json)"
            raise DatasetError(what, f"{storage.root}/{name}", "Run 'caco-data verify'")
    return pa.Table.from_batches(batches, schema)


def unreadable(error: Exception, where: str) -> DatasetError:
    """Error of a table that pyarrow cannot read, with its message in one line."""
    what = " ".join(str(error).split()).rstrip(".")
    return DatasetError(f"Unreadable table: {what}", where, "Run 'caco-data verify'")


def write_table(storage: Storage, name: str, table: pa.Table) -> str:
    """Write a table, compressed with zstd; return the hexadecimal SHA-256 of the file.

    The file does not depend on the chunks of the table.
    """
    with storage.writing(name) as file:
        writer = HashingWriter(file)
        with pq.ParquetWriter(writer, table.schema, compression="zstd") as out:
            for group in regrouped([table], _ROWS_PER_GROUP):
                out.write_table(group)
    return writer.sha256


def regrouped(tables: Iterable[pa.Table], rows: int) -> Iterator[pa.Table]:
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
