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
#: Columns that earlier versions did not write; they are null in their data sets.
ADDED = ("offset_dn",)
#: Columns of the file; earlier versions wrote no geometry.
FILE_SCHEMA = INDEX_SCHEMA.append(GEOMETRY).with_metadata(GEO_METADATA)


def _earlier(schema: pa.Schema) -> pa.Schema:
    return pa.schema([field for field in schema if field.name not in ADDED])


def _old(schema: pa.Schema) -> pa.Schema:
    return pa.schema([x.with_name(_NEW_NAMES.get(x.name, x.name)) for x in _earlier(schema)])


_KNOWN = (
    FILE_SCHEMA, INDEX_SCHEMA, _earlier(FILE_SCHEMA), _earlier(INDEX_SCHEMA), _old(INDEX_SCHEMA),
)  # fmt: skip


def is_index(schema: pa.Schema) -> bool:
    """Whether a file with this schema is an index."""
    return any(schema.equals(known) for known in _KNOWN)


def names_in_file(names: Sequence[str], file_names: Sequence[str]) -> list[str]:
    """Names of columns in a file, which may be of an earlier version and lack some of them.

    At least one, so that the rows are counted.
    """
    stored = [_NEW_NAMES.get(name, name) if name not in file_names else name for name in names]
    return [name for name in stored if name in file_names] or ["location_id"]


def with_names(table: pa.Table, names: Sequence[str]) -> pa.Table:
    """Columns of index rows of this version or an earlier one, by the names of this version."""
    found = table.rename_columns([OLD_NAMES.get(name, name) for name in table.column_names])
    columns = [
        found[name] if name in found.column_names
        # The type of nulls is needed for added columns only.
        else pa.nulls(table.num_rows, INDEX_SCHEMA.field(name).type)
        for name in names
    ]  # fmt: skip
    return pa.table(columns, names=list(names))


def stream_index(
    storage: Storage, columns: Sequence[str] = tuple(INDEX_SCHEMA.names)
) -> Iterator[pa.RecordBatch]:
    """Read columns of index.parquet in batches, by the names of this version; see `stream_table`.

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
        yield from with_names(pa.Table.from_batches([batch]), columns).to_batches()


def renamed(row: dict[str, Any]) -> dict[str, Any]:
    """Row of a json member with the names of this version."""
    return {OLD_NAMES.get(name, name): value for name, value in row.items()}


def earlier_row(row: dict[str, Any]) -> dict[str, Any]:
    """Row of a json member without the added columns, where they are null."""
    return {name: value for name, value in row.items() if name not in ADDED or value is not None}


def old_row(row: dict[str, Any]) -> dict[str, Any]:
    """Row of a json member with the columns and the names of the first version."""
    return {_NEW_NAMES.get(name, name): value for name, value in earlier_row(row).items()}
