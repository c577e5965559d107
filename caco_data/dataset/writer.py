"""A data set in the making: parts become shards, shards become a finished data set.

Whatever is kept survives a kill at any moment. In the folder `.work`::

    000000123.tar             a finished location: a shard of one
    000000123.truth.json      its truth, written before it (simulated source)
    000000123.rejected.json   or why it has no stacks
    000000.parquet            a finished shard's index rows; in its metadata the shard's digest,
                              its rejections and truths

A shard holds the locations of `locations_per_shard` consecutive rows of the locations table, and is
written once all of them are settled, so that its bytes do not depend on the order of arrival.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from caco_data import __version__
from caco_data.dataset.hashing import HashingFile
from caco_data.dataset.layout import (
    DESCRIPTION,
    FORMAT,
    INDEX,
    INDEX_SCHEMA,
    LOCATIONS,
    REJECTED,
    REJECTED_SCHEMA,
    SHARDS,
    TRUTH,
    TRUTH_SCHEMA,
)
from caco_data.dataset.reader import description_digest, read_description, read_parquet
from caco_data.dataset.shards import Record, read_shard, rows_table, write_shard
from caco_data.errors import DatasetError, InputError
from caco_data.sentinel2 import PIXEL_M
from caco_data.settings_diff import difference
from caco_data.storage import Storage, read_bytes, write_bytes
from caco_data.types import PATCH_PX, Outcome

WORK = ".work"
_METADATA = b"caco_data"


def to_json(value: object) -> bytes:
    """Encode what the data set keeps as JSON."""
    return (json.dumps(value, indent=1) + "\n").encode()


def write_part(storage: Storage, shard: int, table: pa.Table, meta: dict[str, Any]) -> None:
    """Write a finished shard's index rows; `meta` has its digest, rejections and truths."""
    with storage.writing(f"{WORK}/{shard:06d}.parquet") as file:
        pq.write_table(table.replace_schema_metadata({_METADATA: json.dumps(meta)}), file)


def read_part(storage: Storage, shard: int) -> tuple[pa.Table, dict[str, Any]]:
    """Read what `write_part` wrote."""
    table = read_parquet(storage, f"{WORK}/{shard:06d}.parquet")
    return table.replace_schema_metadata(), json.loads(table.schema.metadata[_METADATA])


class Workspace:
    """Keeps outcomes, and turns them into a data set.

    Parameters
    ----------
    storage : Storage
        Where the data set goes.
    description : dict
        The fixed part of dataset.json: source, collection, settings.
    location_ids : list of int
        Ascending.
    locations_per_shard : int
        Rows of the locations table a shard stands for.

    Raises
    ------
    InputError
        When the folder holds something else, or a data set made with other settings.
    """

    def __init__(
        self,
        storage: Storage,
        description: dict[str, Any],
        location_ids: list[int],
        locations_per_shard: int,
    ) -> None:
        self._storage = storage
        self._per_shard = locations_per_shard
        self._ids: list[int] = []
        self._row: dict[int, int] = {}
        self.complete: set[int] = set()
        self.rejected: dict[int, str] = {}
        """Reason by location."""
        self._assembled: set[int] = set()
        self._kept: set[int] = set()
        self._earlier: dict[int, str] = {}
        self._description = {
            "format": FORMAT,
            "software": f"caco-data {__version__}",
            **json.loads(json.dumps(description)),
        }
        self.finished = self._claim()
        if not self.finished:
            self._recover()
        self.extend(location_ids)

    def _claim(self) -> bool:
        """Make sure the folder is ours; whether the data set in it is finished."""
        where = str(self._storage.root)
        if self._storage.exists(DESCRIPTION):
            found = read_description(self._storage)
            lines = difference(
                {key: found.get(key) for key in ("source", "settings")},
                {key: self._description.get(key) for key in ("source", "settings")},
            )
            if lines:
                raise InputError(
                    f"Data set made with other settings: {'; '.join(lines)}",
                    where,
                    "Use the same settings to resume, or another --out",
                )
            return bool(found.get("complete"))
        if self._storage.names() or self._storage.names(SHARDS):
            raise InputError(
                "The folder holds files but no data set", where, "Choose an empty --out"
            )
        write_bytes(self._storage, DESCRIPTION, to_json({**self._description, "complete": False}))
        return False

    def extend(self, location_ids: list[int]) -> None:
        """Add the locations that are not known yet, all of them after the known ones.

        What an earlier run settled counts from the moment its location is known, so that a
        resumed `--fill` draws the same replacements.
        """
        for location_id in location_ids[len(self._ids) :]:
            self._row[location_id] = len(self._ids)
            self._ids.append(location_id)
            reason = self._earlier.pop(location_id, None)
            if reason is not None:
                self.rejected[location_id] = reason
            elif location_id in self._kept:
                self.complete.add(location_id)

    def _recover(self) -> None:
        """Find what an earlier run settled."""
        stems = [name.removeprefix(f"{WORK}/") for name in self._storage.names(WORK)]
        in_shards: set[int] = set()
        for stem in stems:
            if re.fullmatch(r"\d{6}\.parquet", stem):
                shard = int(stem[:6])
                table, meta = read_part(self._storage, shard)
                self._assembled.add(shard)
                self._kept.update(table["location_id"].unique().to_pylist())
                self._earlier.update({r["location_id"]: r["reason"] for r in meta["rejected"]})
                in_shards = self._kept | self._earlier.keys()
        for stem in stems:
            match = re.fullmatch(r"(\d{9})\.(tar|truth\.json|rejected\.json)", stem)
            if match is None:
                continue
            location_id, name = int(match[1]), f"{WORK}/{stem}"
            if location_id in in_shards:
                self._storage.remove(name)  # killed between the shard and its clean-up
            elif match[2] == "tar":
                self._kept.add(location_id)
            elif match[2] == "rejected.json":
                self._earlier[location_id] = self._read_json(name)["reason"]

    def _shard_of(self, location_id: int) -> int:
        return self._row[location_id] // self._per_shard

    @property
    def pending(self) -> list[int]:
        """Locations that are not settled, in order."""
        return [i for i in self._ids if i not in self.complete and i not in self.rejected]

    def keep(self, outcome: Outcome) -> None:
        """Store an outcome durably, and write its shard when it was the last one missing."""
        key = f"{WORK}/{outcome.location_id:09d}"
        if outcome.part is not None:
            if outcome.truth is not None:
                write_bytes(self._storage, f"{key}.truth.json", to_json(asdict(outcome.truth)))
            write_bytes(self._storage, f"{key}.tar", outcome.part)
            self.complete.add(outcome.location_id)
        elif outcome.rejection is not None:
            write_bytes(self._storage, f"{key}.rejected.json", to_json(asdict(outcome.rejection)))
            self.rejected[outcome.location_id] = outcome.rejection.reason
        shard = self._shard_of(outcome.location_id)
        rows = self._rows(shard)
        # A shard that --fill may still add to waits for `finish`.
        if len(rows) == self._per_shard and self._settled(rows):
            self._assemble(shard)

    def _rows(self, shard: int) -> list[int]:
        return self._ids[shard * self._per_shard : (shard + 1) * self._per_shard]

    def _settled(self, ids: list[int]) -> bool:
        return all(i in self.complete or i in self.rejected for i in ids)

    def _records(self, ids: list[int]) -> Iterator[Record]:
        for location_id in ids:
            name = f"{WORK}/{location_id:09d}.tar"
            try:
                with self._storage.open(name) as file:
                    yield from read_shard(file, f"{self._storage.root}/{name}")
            except DatasetError as error:
                self._storage.remove(name)
                raise DatasetError(
                    f"A finished location was damaged on the disk and is dropped: {error.what}",
                    error.where,
                    "Run the same command again to fetch it anew",
                ) from error

    def _assemble(self, shard: int) -> None:
        """Write a shard from its parts, then its index rows, then remove the parts."""
        name = f"{shard:06d}.tar"
        ids = self._rows(shard)
        complete = [i for i in ids if i in self.complete]
        meta: dict[str, Any] = {"rejected": [], "truth": [], "shard": None}
        rows = []
        if complete:
            with self._storage.writing(f"{SHARDS}/{name}") as file:
                hashing = HashingFile(file)
                rows = write_shard(hashing, name, self._records(complete))  # type: ignore[arg-type]
            meta["shard"] = {"name": name, "nbytes": hashing.nbytes, "sha256": hashing.sha256}
        for location_id in ids:
            key = f"{WORK}/{location_id:09d}"
            if location_id in self.rejected:
                meta["rejected"].append(self._read_json(f"{key}.rejected.json"))
            elif self._storage.exists(f"{key}.truth.json"):
                truth = self._read_json(f"{key}.truth.json")
                meta["truth"].append({"location_id": location_id, **truth})
        write_part(self._storage, shard, rows_table(rows), meta)
        self._assembled.add(shard)
        for location_id in ids:
            for ending in ("tar", "truth.json", "rejected.json"):
                self._storage.remove(f"{WORK}/{location_id:09d}.{ending}")

    def _read_json(self, name: str) -> dict[str, Any]:
        value: dict[str, Any] = json.loads(read_bytes(self._storage, name))
        return value

    def finish(self, locations: pa.Table) -> None:
        """Write what is left of the shards, the tables and dataset.json; drop the workspace.

        Parameters
        ----------
        locations : pyarrow.Table
            The locations table, as sampled.
        """
        shards = range(-(-len(self._ids) // self._per_shard))
        for shard in shards:
            if shard not in self._assembled:
                self._assemble(shard)
        described: list[dict[str, Any]] = []
        rejected: list[dict[str, Any]] = []
        truth: list[dict[str, Any]] = []
        with (
            self._storage.writing(INDEX) as file,
            pq.ParquetWriter(file, INDEX_SCHEMA, compression="zstd") as writer,
        ):
            for shard in shards:
                table, meta = read_part(self._storage, shard)
                if meta["shard"]:
                    writer.write_table(table)
                    described.append(meta["shard"])
                rejected += meta["rejected"]
                truth += meta["truth"]
        tables = {
            REJECTED: pa.Table.from_pylist(rejected, schema=REJECTED_SCHEMA),
            LOCATIONS: locations,
        }
        if truth:
            tables[TRUTH] = pa.Table.from_pylist(truth, schema=TRUTH_SCHEMA)
        for name, table in tables.items():
            with self._storage.writing(name) as file:
                pq.write_table(table, file, compression="zstd")
        counts = {
            "locations": len(self._ids),
            "complete": len(self.complete),
            "rejected": dict(sorted(Counter(self.rejected.values()).items())),
            "nbytes": sum(shard["nbytes"] for shard in described),
        }
        grid = {"patch_px": PATCH_PX, "pixel_m": PIXEL_M, "crs": "UTM zone of each location"}
        description = {
            **self._description,
            "grid": grid,
            "complete": True,
            "counts": counts,
            "tables": {
                name: hashlib.sha256(read_bytes(self._storage, name)).hexdigest()
                for name in sorted([INDEX, *tables])
            },
            "shards": described,
        }
        description["sha256"] = description_digest(description)
        write_bytes(self._storage, DESCRIPTION, to_json(description))
        self.finished = True
        self._storage.remove_folder(WORK)
