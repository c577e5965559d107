"""Limits of the tables of a data set: how much memory the rows of a Parquet file may take.

A small file can describe very many or very long values: a text that is stored once may stand in
every row. The sizes in the footer are checked before a column is read. Texts are read as
dictionaries, which stay as small as in the file, and expanded batch by batch.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import IO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from caco_data.errors import DatasetError
from caco_data.storage import Storage

#: Maximum mean size of a value, bytes, and size that is permitted whatever the number of rows.
VALUE_NBYTES, ANY_NBYTES = 4096, 1 << 20
#: Maximum number of elements of a list; a transform has 6.
_ELEMENTS = 16
#: Maximum length of one text, bytes.
_TEXT_NBYTES = 1 << 16
#: Rows of a batch, and bytes read from the file at a time.
_BATCH_ROWS, _BUFFER = 2048, 1 << 18


def check_footer(footer: pq.FileMetaData, columns: Collection[str] | None = None) -> None:
    """Check the sizes in the footer of a Parquet file.

    Parameters
    ----------
    footer : FileMetaData
        Of the file.
    columns : collection of str, optional
        Columns that will be read; all if None.

    Raises
    ------
    ValueError
        For a row group with a column that is too large for its number of rows.
    """
    for i in range(footer.num_row_groups):
        group = footer.row_group(i)
        for j in range(group.num_columns):
            chunk = group.column(j)
            name = chunk.path_in_schema.split(".")[0]
            if columns is not None and name not in columns:
                continue
            size, rows = chunk.total_uncompressed_size, group.num_rows
            if not 0 <= size <= ANY_NBYTES + rows * VALUE_NBYTES:
                raise ValueError(f"column '{name[:100]}' has {size} bytes in {rows} rows")
            if not 0 <= chunk.num_values <= max(1, rows) * _ELEMENTS:
                raise ValueError(
                    f"column '{name[:100]}' has {chunk.num_values} values in {rows} rows"
                )


def open_parquet(
    source: IO[bytes],
    columns: Collection[str] | None = None,
    footer: pq.FileMetaData | None = None,
) -> pq.ParquetFile:
    """Open a Parquet file after a check of its footer; texts are read as dictionaries.

    Raises
    ------
    ValueError
        When it is not a Parquet file, or as in `check_footer`.
    """
    plain = pq.ParquetFile(source, metadata=footer)
    check_footer(plain.metadata, columns)
    texts = [field.name for field in plain.schema_arrow if pa.types.is_string(field.type)]
    return pq.ParquetFile(
        source, metadata=plain.metadata, read_dictionary=texts, buffer_size=_BUFFER
    )


def expanded(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Expand the dictionaries of a batch; ValueError when its texts are too long."""
    columns = []
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        if pa.types.is_dictionary(column.type):
            lengths = pc.binary_length(column.dictionary)
            total = pc.sum(lengths.take(column.indices)).as_py() or 0
            longest = pc.max(lengths).as_py() or 0
            if longest > _TEXT_NBYTES or total > ANY_NBYTES + len(column) * VALUE_NBYTES:
                raise ValueError(f"column '{name[:100]}' has texts of up to {longest} bytes")
            column = column.dictionary_decode()
        columns.append(column)
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


def stream_table(
    storage: Storage,
    name: str,
    schema: pa.Schema | None = None,
    columns: Sequence[str] | None = None,
) -> Iterator[pa.RecordBatch]:
    """Read a table in batches, in memory that does not depend on the number of rows.

    Parameters
    ----------
    storage : Storage
        The data set.
    name : str
        The table.
    schema : pyarrow.Schema, optional
        Names and types of its columns; not compared if None.
    columns : sequence of str, optional
        Columns to read; all if None.

    Raises
    ------
    DatasetError
        When it is missing, unreadable, not of the schema, or has larger values than permitted.
    """
    with dataset_errors(f"{storage.root}/{name}"), storage.open(name) as source:
        if schema is not None and not _schema(source).equals(schema):
            raise ValueError("the columns are not those of the format")
        file = open_parquet(source, columns)
        for batch in iter_batches(file, _BATCH_ROWS, columns):
            yield expanded(batch)


def iter_batches(
    file: pq.ParquetFile, rows: int, columns: Sequence[str] | None = None
) -> Iterator[pa.RecordBatch]:
    """Read a Parquet file in batches of up to `rows` rows, one row group at a time.

    pyarrow keeps the bytes of all row groups that are read in one call until its end.
    """
    for group in range(file.num_row_groups):
        # Arrow's threads release the Python file later: see `read_parquet`.
        yield from file.iter_batches(rows, row_groups=[group], columns=columns, use_threads=False)


def _schema(source: IO[bytes]) -> pa.Schema:
    return pq.ParquetFile(source).schema_arrow.remove_metadata()


@contextmanager
def dataset_errors(where: str) -> Iterator[None]:
    """Raise DatasetError for a table that is missing or unreadable."""
    try:
        yield
    except FileNotFoundError as error:
        raise DatasetError("Missing table", where) from error
    except (ValueError, OSError, pa.ArrowException) as error:
        raise DatasetError(f"Unreadable table: {error}", where, "Run 'caco-data verify'") from error
