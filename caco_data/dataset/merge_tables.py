"""Joining of the tables and logs of several data sets, in batches."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from caco_data import __version__
from caco_data.dataset.cursor import Cursor
from caco_data.dataset.description_check import MAX_LOCATIONS_PER_SHARD
from caco_data.dataset.index_files import stream_index
from caco_data.dataset.layout import EVENTS, INDEX, INDEX_SCHEMA, LOCATIONS
from caco_data.dataset.parquet_limits import iter_batches, stream_table
from caco_data.dataset.table_writer import write_index
from caco_data.errors import REPAIR_REMEDY, DatasetError, InputError
from caco_data.storage import Storage
from caco_data.types import StackLayout

#: A data set, what is added to its location ids, and the new names of its shards.
Source = tuple[Storage, int, dict[str, str]]

_BATCH_ROWS = 65_536
#: Key of the metadata of the sampler in a locations table.
_SAMPLER = b"caco_data"


def join_tables(sources: Sequence[Source], target: Storage, name: str, layout: StackLayout) -> None:
    """Write the rows of a table of all data sets, in their order, with their new location ids.

    Columns that only some of them have are null for the others.

    Raises
    ------
    InputError
        When a column has different types.
    DatasetError
        When location ids are not ascending.
    """
    if name == INDEX:
        write_index(target, _index_rows(sources, layout.rows), layout.patch_px)
        return
    schemas = [_schema(storage, name) for storage, _, _ in sources]
    try:
        schema = pa.unify_schemas([schema.remove_metadata() for schema in schemas])
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise InputError(
            f"The columns of {name} have different types: {error}", sources[0][0].root,
            "Convert them before the download",
        ) from error  # fmt: skip
    schema = schema.with_metadata(_joined_metadata([x.metadata or {} for x in schemas]))
    last = -1
    with target.writing(name) as file, pq.ParquetWriter(file, schema, compression="zstd") as writer:
        for storage, offset, _ in sources:
            for table in _tables(storage, name):
                rows = _renamed(table, offset)
                last = _check_order(rows, last, f"{storage.root}/{name}")
                writer.write_table(_with_columns(rows, schema))


def _schema(storage: Storage, name: str) -> pa.Schema:
    with storage.open(name) as file:
        return pq.read_schema(file)


def _index_rows(sources: Sequence[Source], per_location: int) -> Iterator[pa.Table]:
    """Yield the index rows of all data sets, shard by shard."""
    last = -1
    for storage, offset, shards in sources:
        where = f"{storage.root}/{INDEX}"
        cursor = Cursor(stream_index(storage), INDEX_SCHEMA)
        for shard, new in shards.items():
            table = cursor.of_shard(shard, MAX_LOCATIONS_PER_SHARD * per_location)
            rows = _renamed(table, offset)
            last = _check_order(rows, last, where)
            names = pa.array([new] * rows.num_rows, pa.string())
            yield rows.set_column(rows.schema.get_field_index("shard"), "shard", names)
        if not cursor.is_at_end():
            raise DatasetError("The index is not ordered by shard", where, REPAIR_REMEDY)


def _tables(storage: Storage, name: str) -> Iterator[pa.Table]:
    """Read a table in batches."""
    if name == LOCATIONS:  # it may have columns of any size
        with storage.open(name) as file:
            for batch in iter_batches(pq.ParquetFile(file), _BATCH_ROWS):
                yield pa.Table.from_batches([batch])
        return
    yield from (pa.Table.from_batches([batch]) for batch in stream_table(storage, name))


def _renamed(table: pa.Table, offset: int) -> pa.Table:
    at = table.schema.get_field_index("location_id")
    ids = pc.add_checked(table["location_id"].cast(pa.int64()), offset)
    return table.set_column(at, "location_id", ids)


def _check_order(rows: pa.Table, last: int, where: str) -> int:
    """Check that location ids do not descend; return the last one."""
    ids = rows["location_id"].to_numpy()
    if (np.diff(ids, prepend=last) < 0).any():
        raise DatasetError("The table is not ordered by location_id", where, REPAIR_REMEDY)
    return int(ids[-1]) if len(ids) else last


def _with_columns(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    columns = [
        rows[field.name].cast(field.type)
        if field.name in rows.column_names
        else pa.nulls(rows.num_rows, field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema)


def _joined_metadata(found: Sequence[dict[bytes, bytes]]) -> dict[bytes, bytes]:
    """Schema metadata: GeoParquet's with the box of all points, and the notices of all tables.

    The sampler's settings are left out: no sampler gives the rows of several tables.
    """
    joined = {}
    geo = [json.loads(metadata[b"geo"]) for metadata in found if b"geo" in metadata]
    if len(geo) == len(found):
        column = geo[0]["primary_column"]
        boxes = np.array([header["columns"][column]["bbox"] for header in geo])
        box = [*boxes[:, :2].min(axis=0).tolist(), *boxes[:, 2:].max(axis=0).tolist()]
        geo[0]["columns"][column]["bbox"] = box
        joined[b"geo"] = json.dumps(geo[0]).encode()
    if sampled := [json.loads(metadata[_SAMPLER]) for metadata in found if _SAMPLER in metadata]:
        notices = sorted({notice for one in sampled for notice in one.get("notices", ())})
        own: dict[str, Any] = {"software": f"caco-data {__version__}", "notices": notices}
        joined[_SAMPLER] = json.dumps(own).encode()
    return joined


def join_events(sources: Iterable[Storage], target: Storage) -> None:
    """Write the logs of all data sets one after the other."""
    with target.writing(EVENTS) as out:
        for storage in sources:
            if storage.exists(EVENTS):
                with storage.open(EVENTS) as file:
                    shutil.copyfileobj(file, out)
                # A killed process may have cut the last line; empty lines are skipped.
                out.write(b"\n")
