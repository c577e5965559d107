"""Writer of a data set: stores outcomes as parts, joins parts to shards, finishes the data set.

A run may be killed at any moment without loss of stored outcomes (`work_folder` describes the
intermediate files). A shard contains the complete locations among `locations_per_shard` consecutive
rows of the locations table. It is written once all of them are settled, so that its bytes do not
depend on the order of arrival.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from typing import Any

import pyarrow as pa

from caco_data.dataset.arrays import member_formats
from caco_data.dataset.data_card import data_card
from caco_data.dataset.description import description_digest
from caco_data.dataset.hashing import HashingWriter
from caco_data.dataset.layout import (
    CARD,
    DESCRIPTION,
    LOCATIONS,
    SHARDS,
    SUFFIX_BY_PIXEL_M,
    bands_by_pixel,
    shard_name,
    stack_layout,
    truth_schema,
)
from caco_data.dataset.ledger import Ledger
from caco_data.dataset.shard_content import ShardContent, join_contents, write_contents
from caco_data.dataset.shards import Record, read_shard, rows_table, write_shard
from caco_data.dataset.table_writer import write_tables
from caco_data.dataset.tables import write_table
from caco_data.dataset.work_folder import (
    WORK,
    list_work,
    part_file,
    rejection_file,
    truth_file,
)
from caco_data.errors import DatasetError
from caco_data.sentinel2 import PIXEL_M
from caco_data.storage import LocalStorage, Storage, read_json, write_bytes, write_json
from caco_data.types import Outcome, PeriodName


class DatasetWriter:
    """Stores outcomes and turns them into a data set.

    Parameters
    ----------
    storage : Storage
        Folder of the data set.
    ledger : Ledger
        Locations of the data set; updated with every outcome. Its folder is reserved.
    check : callable, optional
        Called before outcomes, shards and tables are written; raises an error when this process may
        no longer write (`FolderLock.check`).
    """

    def __init__(
        self, storage: Storage, ledger: Ledger, check: Callable[[], None] = lambda: None
    ) -> None:
        ledger.reserve()
        self._storage = storage
        self._ledger = ledger
        self._check = check
        settings = ledger.description["settings"]
        self._per_shard = int(settings["locations_per_shard"])
        self._formats = member_formats(settings)
        self._layout = stack_layout(settings)
        self._truth_schema = truth_schema(ledger.description["source"])
        self._stored: set[int] = set()  # locations whose part this process has stored

    def add(self, outcome: Outcome) -> None:
        """Store an outcome durably; write its shard once all locations of the shard are settled."""
        self._check()
        i = outcome.location_id
        if outcome.part is not None:
            if outcome.truth is not None:
                write_json(self._storage, truth_file(i), asdict(outcome.truth))
            self._store(i, outcome.part)
        elif outcome.rejection is not None:
            write_json(self._storage, rejection_file(i), asdict(outcome.rejection))
        self._ledger.settle(outcome)
        shard = self._ledger.row(i) // self._per_shard
        rows = self._rows(shard)
        # `finish` writes a shard with fewer locations: --fill may add to it before.
        if rows.stop <= self._ledger.location_ids.size and self._ledger.is_settled(rows):
            self._write_shard(shard)
            join_contents(self._storage, shard, self._ledger.finished_shards)

    def _store(self, location_id: int, part: bytes | str) -> None:
        if isinstance(part, bytes):
            write_bytes(self._storage, part_file(location_id), part)
        elif isinstance(self._storage, LocalStorage):
            self._storage.adopt(part, part_file(location_id))
        else:
            raise TypeError("only files of a local folder can be staged")
        self._stored.add(location_id)

    def _rows(self, shard: int) -> slice:
        """Rows of the locations table in a shard."""
        return slice(shard * self._per_shard, (shard + 1) * self._per_shard)

    def _write_shard(self, number: int) -> None:
        """Write a shard from its parts, then its content, then remove the parts."""
        self._check()
        complete, excluded = self._ledger.settled(self._rows(number))
        rows, shard = self._write_tar(shard_name(number), complete) if complete else ([], None)
        rejected = [read_json(self._storage, rejection_file(i)) for i in excluded]
        truth = [
            {"location_id": i, **read_json(self._storage, truth_file(i))}
            for i in complete
            if self._storage.exists(truth_file(i))
        ]
        content = ShardContent(
            rows_table(rows), rejected, pa.Table.from_pylist(truth, self._truth_schema), shard
        )
        write_contents(self._storage, number, [content])
        self._ledger.finished_shards.add(number)
        for i in complete + excluded:
            for name in (part_file(i), truth_file(i), rejection_file(i)):
                self._storage.remove(name)
        self._stored.difference_update(complete)

    def _write_tar(
        self, name: str, location_ids: list[int]
    ) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """Write the tar of a shard; return its index rows and its entry of dataset.json."""
        with self._storage.writing(f"{SHARDS}/{name}") as file:
            writer = HashingWriter(file)
            rows = write_shard(writer, name, self._records(location_ids))  # type: ignore[arg-type]
        return rows, {"name": name, "nbytes": writer.nbytes, "sha256": writer.sha256}

    def _records(self, location_ids: list[int]) -> Iterator[Record]:
        for location_id in location_ids:
            name = part_file(location_id)
            try:
                with self._storage.open(name) as file:
                    where = f"{self._storage.root}/{name}"
                    # Parts of earlier runs may have been damaged on the disk.
                    check = location_id not in self._stored
                    yield from read_shard(file, where, self._formats, check)
            except DatasetError as error:
                self._storage.remove(name)
                raise DatasetError(
                    f"A finished location was damaged on the disk and is dropped: {error.what}",
                    error.where,
                    "Run the same command again to download it again",
                ) from error

    def finish(
        self, locations: pa.Table, on_shard: Callable[[int, int], None] = lambda done, count: None
    ) -> None:
        """Write the remaining shards, the tables and dataset.json; remove the folder `.work`.

        Parameters
        ----------
        locations : pyarrow.Table
            The locations table, as sampled.
        on_shard : callable, optional
            Called with the number of shards that are in the tables and the number of all shards.

        Raises
        ------
        ValueError
            When locations are pending, or none is complete.
        """
        pending, complete = self._ledger.pending.size, self._ledger.complete.size
        if pending or not complete:
            raise ValueError(
                f"cannot finish a data set with {pending} pending and {complete} complete locations"
            )
        count = -(-self._ledger.location_ids.size // self._per_shard)
        for number in range(count):
            if number not in self._ledger.finished_shards:
                self._write_shard(number)
        self._check()
        files = list_work(self._storage).contents
        shards, digests = write_tables(
            self._storage, files, count, self._per_shard, on_shard, self._layout
        )
        digests[LOCATIONS] = write_table(self._storage, LOCATIONS, locations)
        self._check()
        self._write_description(shards, digests)
        self._storage.remove_folder(WORK)

    def _write_description(self, shards: list[dict[str, Any]], digests: dict[str, str]) -> None:
        """Write the final dataset.json, with the digests of all files."""
        ledger = self._ledger
        description = {
            **ledger.description,
            "grid": {
                "patch_px": self._layout.patch_px,
                "pixel_m": PIXEL_M,
                "crs": "UTM zone of each location",
                "members": _members(ledger.description["settings"]["bands"], self._layout.periods),
            },
            "complete": True,
            "counts": {
                "locations": ledger.location_ids.size,
                "complete": ledger.complete.size,
                "rejected": dict(sorted(ledger.rejections.items())),
                "nbytes": sum(shard["nbytes"] for shard in shards),
            },
            "tables": dict(sorted(digests.items())),
            "shards": shards,
        }
        description["sha256"] = description_digest(description)
        write_bytes(self._storage, CARD, data_card(description).encode())
        write_json(self._storage, DESCRIPTION, description)


def _members(bands: list[str], periods: Sequence[PeriodName]) -> dict[str, list[str]]:
    """Bands of each array member, in stored order, by member name without ending."""
    return {
        f"{period}{SUFFIX_BY_PIXEL_M[pixel_m]}": list(stored)
        for period in periods
        for pixel_m, stored in bands_by_pixel(bands).items()
    }
