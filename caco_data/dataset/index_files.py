"""Columns of index.parquet in the file, for this version and earlier ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from caco_data.dataset.footprints import GEO_METADATA, GEOMETRY
from caco_data.dataset.layout import INDEX, INDEX_SCHEMA
from caco_data.dataset.parquet_limits import dataset_errors, stream_table
from caco_data.storage import Storage

#: Columns by the names that earlier versions gave them, in index.parquet and in the json members.
#: `transform` is also a method of a pandas data frame.
OLD_NAMES = {"transform": "affine"}
_NEW_NAMES = {new: old for old, new in OLD_NAMES.items()}
#: Columns of the file; earlier versions wrote no geometry.
FILE_SCHEMA = INDEX_SCHEMA.append(GEOMETRY).with_metadata(GEO_METADATA)
_OLD_SCHEMA = pa.schema(
    [field.with_name(_NEW_NAMES.get(field.name, field.name)) for field in INDEX_SCHEMA]
)


def is_index(schema: pa.Schema) -> bool:
    """Whether a file with this schema is an index."""
    return any(schema.equals(known) for known in (FILE_SCHEMA, INDEX_SCHEMA, _OLD_SCHEMA))


def names_in_file(names: Sequence[str], file_names: Sequence[str]) -> list[str]:
    """Names of columns in a file, which may be of an earlier version."""
    return [name if name in file_names else _NEW_NAMES[name] for name in names]


def stream_index(
    storage: Storage, columns: Sequence[str] = tuple(INDEX_SCHEMA.names)
) -> Iterator[pa.RecordBatch]:
    """Read columns of index.parquet in batches; see `stream_table`.

    Raises
    ------
    DatasetError
        When it is missing, unreadable, not of the format, or has larger values than permitted.
    """
    with dataset_errors(f"{storage.root}/{INDEX}"), storage.open(INDEX) as file:
        schema = pq.read_schema(file)
        if not is_index(schema):
            raise ValueError("the columns are not those of the format")
    stored = names_in_file(columns, schema.names)
    for batch in stream_table(storage, INDEX, columns=stored):
        yield batch.select(stored).rename_columns(list(columns))


def renamed(row: dict[str, Any]) -> dict[str, Any]:
    """Row of a json member with the names of this version."""
    return {OLD_NAMES.get(name, name): value for name, value in row.items()}


def old_row(row: dict[str, Any]) -> dict[str, Any]:
    """Row of a json member with the names of earlier versions."""
    return {_NEW_NAMES.get(name, name): value for name, value in row.items()}
