"""State of an unfinished data set: which locations are complete, rejected or pending."""

from __future__ import annotations

import json
from typing import Any

from caco_data import __version__
from caco_data.dataset.description import read_description
from caco_data.dataset.layout import DESCRIPTION, FORMAT, SHARDS
from caco_data.dataset.work_folder import list_work, part_file, read_shard_index, rejection_file
from caco_data.errors import InputError
from caco_data.settings_diff import difference
from caco_data.storage import Storage, read_json, write_json
from caco_data.types import Outcome


class Ledger:
    """Records which locations are settled, including those of earlier runs.

    Writes an unfinished dataset.json into an empty folder, which reserves it for the data set.

    Parameters
    ----------
    storage : Storage
        Folder of the data set.
    description : dict
        Constant part of dataset.json: source and settings.
    location_ids : list of int
        Locations of the data set, ascending.

    Raises
    ------
    InputError
        When the folder contains other files, or a data set made with other settings.
    """

    def __init__(
        self, storage: Storage, description: dict[str, Any], location_ids: list[int]
    ) -> None:
        self.description = {
            "format": FORMAT,
            "software": f"caco-data {__version__}",
            **json.loads(json.dumps(description)),
        }
        """Constant part of dataset.json."""
        self.location_ids: list[int] = []
        """All locations, in the order of the locations table."""
        self.rows: dict[int, int] = {}
        """Row in the locations table by location."""
        self.complete: set[int] = set()
        """Complete locations."""
        self.rejected: dict[int, str] = {}
        """Reason of rejection by location."""
        self.finished_shards: set[int] = set()
        """Numbers of the shards that are written, each with its index."""
        self._earlier_complete: set[int] = set()
        self._earlier_rejected: dict[int, str] = {}
        self.finished = self._reserve(storage)
        """Whether an earlier run finished the data set."""
        if not self.finished:
            self._recover(storage)
        self.extend(location_ids)

    def _reserve(self, storage: Storage) -> bool:
        """Reserve the folder; return whether it contains a finished data set."""
        where = str(storage.root)
        if storage.exists(DESCRIPTION):
            found = read_description(storage)
            lines = difference(
                {key: found.get(key) for key in ("source", "settings")},
                {key: self.description.get(key) for key in ("source", "settings")},
            )
            if lines:
                raise InputError(
                    f"Data set made with other settings: {'; '.join(lines)}",
                    where,
                    "Use the same settings to resume, or another --out",
                )
            return bool(found.get("complete"))
        if storage.names() or storage.names(SHARDS):
            raise InputError(
                "The folder contains files but no data set", where, "Choose an empty --out"
            )
        write_json(storage, DESCRIPTION, {**self.description, "complete": False})
        return False

    def _recover(self, storage: Storage) -> None:
        """Read which locations and shards an earlier run settled."""
        shards, files = list_work(storage)
        for number in shards:
            index = read_shard_index(storage, number)
            self.finished_shards.add(number)
            self._earlier_complete.update(index.rows["location_id"].unique().to_pylist())
            self._earlier_rejected |= {r["location_id"]: r["reason"] for r in index.rejected}
        in_shards = self._earlier_complete | self._earlier_rejected.keys()
        for name, location_id in files.items():
            if location_id in in_shards:
                # The run ended after the shard was written, before its parts were removed.
                storage.remove(name)
            elif name == part_file(location_id):
                self._earlier_complete.add(location_id)
            elif name == rejection_file(location_id):
                self._earlier_rejected[location_id] = read_json(storage, name)["reason"]

    def extend(self, location_ids: list[int]) -> None:
        """Add the locations after those already in the ledger.

        A location that an earlier run settled is recorded only when it is added here, so that a
        resumed `--fill` samples the same replacements.

        Parameters
        ----------
        location_ids : list of int
            All locations; begins with those already in the ledger.
        """
        for location_id in location_ids[len(self.location_ids) :]:
            self.rows[location_id] = len(self.location_ids)
            self.location_ids.append(location_id)
            reason = self._earlier_rejected.get(location_id)
            if reason is not None:
                self.rejected[location_id] = reason
            elif location_id in self._earlier_complete:
                self.complete.add(location_id)

    def settle(self, outcome: Outcome) -> None:
        """Record an outcome that is durably stored."""
        if outcome.part is not None:
            self.complete.add(outcome.location_id)
        elif outcome.rejection is not None:
            self.rejected[outcome.location_id] = outcome.rejection.reason

    def is_settled(self, location_id: int) -> bool:
        """Whether a location is complete or rejected."""
        return location_id in self.complete or location_id in self.rejected

    @property
    def pending(self) -> list[int]:
        """Locations that are not settled, in order."""
        return [i for i in self.location_ids if not self.is_settled(i)]
