"""Extension of a data set by the further rows of a longer locations table.

A shard contains `locations_per_shard` consecutive rows, so that every full shard stays as it is.
The last one may have fewer rows: its locations become parts again, and it is written when its
further rows are settled. The data set is an unfinished one until then.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from caco_data.dataset.arrays import member_formats
from caco_data.dataset.index import open_index
from caco_data.dataset.layout import (
    DESCRIPTION,
    INDEX,
    INDEX_SCHEMA,
    LOCATIONS,
    REJECTED,
    REJECTED_SCHEMA,
    SPLIT,
    TRUTH,
    TRUTH_SCHEMA,
    shard_file,
    shard_name,
)
from caco_data.dataset.parts import unpack
from caco_data.dataset.recovery import Recovered
from caco_data.dataset.tables import read_parquet, read_table
from caco_data.dataset.work_folder import (
    WORK,
    ShardIndex,
    read_shard_index,
    shard_index_file,
    write_shard_index,
)
from caco_data.errors import REPAIR_REMEDY, DatasetError, InputError
from caco_data.storage import Storage, write_json

#: Rows of the index that are read at once.
_BATCH_ROWS = 65_536


def index_by_shard(storage: Storage) -> Iterator[tuple[str, pa.Table]]:
    """Read index.parquet in order: the name of each shard, and its rows."""
    name, tables = "", [INDEX_SCHEMA.empty_table()]
    with storage.open(INDEX) as file:
        # In this thread only: see `read_parquet`.
        for batch in pq.ParquetFile(file).iter_batches(_BATCH_ROWS, use_threads=False):
            shards = batch["shard"].to_numpy(zero_copy_only=False)
            first = np.flatnonzero(np.concatenate([[True], shards[1:] != shards[:-1]]))
            for start, end in zip(first, [*first[1:], len(shards)], strict=True):
                rows = pa.Table.from_batches([batch.slice(start, end - start)])
                if shards[start] != name:
                    if name:
                        yield name, pa.concat_tables(tables)
                    name, tables = shards[start], []
                tables.append(rows)
    if name:
        yield name, pa.concat_tables(tables)


def contents(storage: Storage, meta: dict[str, Any]) -> Iterator[tuple[int, ShardIndex]]:
    """Read the content of each shard of a finished data set, one at a time, by its number."""
    per_shard = int(meta["settings"]["locations_per_shard"])
    entries = {shard["name"]: shard for shard in meta["shards"]}
    ids = read_parquet(storage, LOCATIONS, ["location_id"])["location_id"].to_numpy()
    rejected = read_table(storage, REJECTED, REJECTED_SCHEMA)
    has_truth = TRUTH in meta["tables"]
    truth = read_table(storage, TRUTH, TRUTH_SCHEMA) if has_truth else TRUTH_SCHEMA.empty_table()
    found = index_by_shard(storage)
    following = next(found, None)
    for number, first in enumerate(range(0, len(ids), per_shard)):
        name, here = shard_name(number), ids[first : first + per_shard]
        rows = INDEX_SCHEMA.empty_table()
        if following is not None and following[0] == name:
            rows, following = following[1], next(found, None)
        content = ShardIndex(
            rows, _between(rejected, here), _between(truth, here), entries.get(name)
        )
        yield number, content
    if following is not None:
        raise DatasetError(
            "The index is not ordered by shard", f"{storage.root}/{INDEX}", REPAIR_REMEDY
        )


def _between(table: pa.Table, ids: np.ndarray[Any, Any]) -> list[dict[str, Any]]:
    """Rows of a table, ordered by location, from the first to the last of some locations."""
    column = table["location_id"].to_numpy()
    start, end = np.searchsorted(column, ids[0]), np.searchsorted(column, ids[-1], "right")
    rows: list[dict[str, Any]] = table.slice(start, end - start).to_pylist()
    return rows


@dataclass(frozen=True)
class Extension:
    """Extension of the data set in a folder; construction only reads."""

    storage: Storage
    """The folder."""
    found: dict[str, Any]
    """Its description, of fewer locations."""

    def __post_init__(self) -> None:
        if "merged" in self.found:
            raise InputError(
                "A merged data set cannot be extended",
                self.storage.root,
                "Download the other locations into another folder, and merge the two",
            )

    @property
    def per_shard(self) -> int:
        """Rows of the locations table per shard."""
        return int(self.found["settings"]["locations_per_shard"])

    def settled(self) -> Recovered:
        """Full shards, complete and rejected locations of a finished data set."""
        rejected = read_table(self.storage, REJECTED, REJECTED_SCHEMA).to_pylist()
        return Recovered(
            open_index(self.storage).location_ids(),
            {row["location_id"]: row["reason"] for row in rejected},
            set(range(self.found["counts"]["locations"] // self.per_shard)),
        )

    def is_full(self, content: ShardIndex) -> bool:
        """Whether all rows of a shard are settled."""
        complete = len(content.rows["location_id"].unique())
        return complete + len(content.rejected) == self.per_shard

    def apply(self, description: dict[str, Any], partial: int | None) -> None:
        """Make the data set an unfinished one with the new description.

        May be killed at any moment: until the description is written, the data set is the earlier
        one with leftovers in the folder `.work`.

        Parameters
        ----------
        description : dict
            Constant part of dataset.json, of more locations.
        partial : int, optional
            Number of the last finished shard of an unfinished data set, if it is not full.
        """
        if self.found.get("complete"):
            self.storage.remove_folder(WORK)
            for number, content in contents(self.storage, self.found):
                if self.is_full(content):
                    write_shard_index(self.storage, number, content)
                else:
                    self._unpack(number, content)
        elif partial is not None:
            self._unpack(partial, read_shard_index(self.storage, partial))
            self.storage.remove(shard_index_file(partial))
        self.storage.remove(SPLIT)  # of fewer locations
        write_json(self.storage, DESCRIPTION, {**description, "complete": False})

    def _unpack(self, number: int, content: ShardIndex) -> None:
        ids = set(content.rows["location_id"].to_pylist())
        formats = member_formats(self.found["settings"])
        unpack(self.storage, shard_file(shard_name(number)), content, formats, ids)
