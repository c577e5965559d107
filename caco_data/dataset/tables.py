"""Reading and writing of the Parquet tables of a data set."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq

from caco_data.errors import DatasetError
from caco_data.storage import Storage


def read_parquet(storage: Storage, name: str, columns: list[str] | None = None) -> pa.Table:
    """Read a table, or some of its columns, in the calling thread only.

    Arrow's threads release the Python file later. If Python exits at that moment, the process ends
    with SIGABRT ("terminate called without an active exception").
    """
    with storage.open(name) as file:
        return pq.ParquetFile(file).read(columns, use_threads=False)


def read_table(storage: Storage, name: str, schema: pa.Schema) -> pa.Table:
    """Read a table; DatasetError if it is missing, unreadable or not of the schema."""
    where = f"{storage.root}/{name}"
    try:
        table = read_parquet(storage, name)
    except FileNotFoundError as error:
        raise DatasetError("Missing table", where) from error
    except (pa.ArrowInvalid, OSError) as error:
        raise DatasetError(f"Unreadable table: {error}", where) from error
    if not table.schema.remove_metadata().equals(schema):
        raise DatasetError("The table's columns are not those of the format", where)
    return table


def write_table(storage: Storage, name: str, table: pa.Table) -> None:
    """Write a table, compressed with zstd."""
    with storage.writing(name) as file:
        pq.write_table(table, file, compression="zstd")
