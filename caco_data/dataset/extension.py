"""Extension of a data set by the further rows of a longer locations table.

A shard contains `locations_per_shard` consecutive rows, so that every full shard stays as it is.
The last one may have fewer rows: its locations become parts again, and it is written when its
further rows are settled. The data set is an unfinished one until then.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from caco_data.dataset.arrays import member_formats
from caco_data.dataset.finished import contents, unpack
from caco_data.dataset.index import open_index
from caco_data.dataset.layout import (
    DESCRIPTION,
    LOCATIONS,
    REJECTED,
    REJECTED_SCHEMA,
    SPLIT,
    shard_name,
)
from caco_data.dataset.recovery import Recovered
from caco_data.dataset.shard_content import (
    ShardContent,
    join_contents,
    read_contents,
    write_contents,
)
from caco_data.dataset.tables import read_parquet, read_table
from caco_data.dataset.work_folder import WORK, ContentFile
from caco_data.errors import REPAIR_REMEDY, DatasetError, InputError
from caco_data.storage import Storage, write_json


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

    def is_full(self, content: ShardContent) -> bool:
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
            self._write_work()
        elif partial is not None:
            file = ContentFile(partial, partial)  # only full shards are joined
            self._unpack(shard_name(partial), read_contents(self.storage, file)[0])
            self.storage.remove(file.name)
        self.storage.remove(SPLIT)  # of fewer locations
        write_json(self.storage, DESCRIPTION, {**description, "complete": False})

    def _write_work(self) -> None:
        column = read_parquet(self.storage, LOCATIONS, ["location_id"])["location_id"]
        written: set[int] = set()
        found = contents(self.storage, self.found, column.to_numpy())
        try:
            for number, (name, content) in enumerate(found):
                if not self.is_full(content):
                    self._unpack(name, content)
                    continue
                write_contents(self.storage, number, [content])
                written.add(number)
                join_contents(self.storage, number, written)
        except ValueError as error:
            raise DatasetError(
                f"Cannot be extended: {error}", str(self.storage.root), REPAIR_REMEDY
            ) from error

    def _unpack(self, name: str, content: ShardContent) -> None:
        ids = set(content.rows["location_id"].to_pylist())
        unpack(self.storage, name, content, member_formats(self.found["settings"]), ids)
