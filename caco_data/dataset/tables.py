"""Reading and writing of the Parquet tables of a data set."""

from __future__ import annotations

from typing import IO

import pyarrow as pa
import pyarrow.parquet as pq

from caco_data.dataset.hashing import HashingWriter
from caco_data.dataset.parquet_limits import check_footer, stream_table
from caco_data.errors import DatasetError
from caco_data.storage import Storage


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
    """Write a table, compressed with zstd; return the hexadecimal SHA-256 of the file."""
    with storage.writing(name) as file:
        writer = HashingWriter(file)
        pq.write_table(table, writer, compression="zstd")
    return writer.sha256
