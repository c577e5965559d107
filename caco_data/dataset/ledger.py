"""State of an unfinished data set: which locations are complete, rejected or pending."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from caco_data import __version__
from caco_data.dataset.description import read_description
from caco_data.dataset.extension import Extension
from caco_data.dataset.layout import DESCRIPTION, EVENTS, FORMAT, SHARDS
from caco_data.dataset.leftovers import remove_leftovers
from caco_data.dataset.work_folder import (
    list_work,
    part_file,
    read_shard_index,
    rejection_file,
    shard_index_file,
)
from caco_data.errors import InputError
from caco_data.settings_diff import difference
from caco_data.storage import Storage, read_json, write_json
from caco_data.types import Outcome

#: Reasons of rejection in data sets of earlier versions that are failures of the service or of
#: the machine, not properties of the location: it is fetched again.
_FAILURES = {"permanent error", "retries used up", "crash"}


class Ledger:
    """Records which locations are settled, including those of earlier runs.

    Construction only reads; `reserve` prepares the folder for writing.

    Parameters
    ----------
    storage : Storage
        Folder of the data set.
    description : dict
        Constant part of dataset.json: source and settings.
    location_ids : list of int
        Locations of the data set, ascending.
    shorter : callable, optional
        Describes a data set of the first n locations. If the folder contains such a data set, it is
        extended.

    Raises
    ------
    InputError
        When the folder contains other files, or a data set made with other settings.
    """

    def __init__(
        self, storage: Storage, description: dict[str, Any], location_ids: list[int],
        shorter: Callable[[int], dict[str, Any]] | None = None,
    ) -> None:  # fmt: skip
        self._storage = storage
        self.description = {
            "format": FORMAT,
            "software": f"caco-data {__version__}",
            **_json(description),
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
        self._obsolete: list[str] = []
        """Files in the folder `.work` that `reserve` removes."""
        self._partial: int | None = None
        """The last finished shard, if it is extended."""
        finished, self._extension = self._check(shorter)
        self.finished = finished and self._extension is None
        """Whether an earlier run finished the data set."""
        if not finished:
            self._recover()
        elif self._extension is not None:
            self.finished_shards, self._earlier_complete, self._earlier_rejected = (
                self._extension.settled()
            )
        self.extend(location_ids)

    def _check(
        self, shorter: Callable[[int], dict[str, Any]] | None
    ) -> tuple[bool, Extension | None]:
        """Check the content of the folder: whether it is a finished data set, and is extended."""
        where = str(self._storage.root)
        if self._storage.exists(DESCRIPTION):
            found = read_description(self._storage)
            expected, extension = self.description, None
            n = found.get("settings", {}).get("locations")
            if shorter is not None and isinstance(n, int) and n < expected["settings"]["locations"]:
                expected = _json(shorter(n))
                extension = Extension(self._storage, found)
            lines = difference(
                {key: found.get(key) for key in ("source", "settings")},
                {key: expected.get(key) for key in ("source", "settings")},
            )
            if lines:
                lines = ["other locations" if "sha256" in line else line for line in lines]
                raise InputError(
                    f"Data set made with other settings: {'; '.join(lines)}",
                    where,
                    "Use the same settings to resume, or another --out",
                )
            return bool(found.get("complete")), extension
        if set(self._storage.names()) - {EVENTS} or self._storage.names(SHARDS):
            raise InputError(
                "The folder contains files but no data set", where, "Choose an empty --out"
            )
        return False, None

    def _recover(self) -> None:
        """Read which locations and shards an earlier run settled."""
        shards, files = list_work(self._storage)
        for number in shards:
            index = read_shard_index(self._storage, number, ["location_id"])
            reasons = {row["location_id"]: row["reason"] for row in index.rejected}
            if index.shard is None and not _FAILURES.isdisjoint(reasons.values()):
                self._obsolete.append(shard_index_file(number))  # no shard has been written
                continue
            if self._extension is None or self._extension.is_full(index):
                self.finished_shards.add(number)
            else:
                self._partial = number
            self._earlier_complete.update(index.rows["location_id"].unique().to_pylist())
            self._earlier_rejected |= reasons
        in_shards = self._earlier_complete | self._earlier_rejected.keys()
        for name, location_id in files.items():
            if location_id in in_shards:
                # The run ended after the shard was written, before its parts were removed.
                self._obsolete.append(name)
            elif name == part_file(location_id):
                self._earlier_complete.add(location_id)
            elif name == rejection_file(location_id):
                reason = read_json(self._storage, name)["reason"]
                if reason in _FAILURES:
                    self._obsolete.append(name)
                else:
                    self._earlier_rejected[location_id] = reason

    def reserve(self) -> None:
        """Write an unfinished dataset.json into an empty folder; remove what killed runs left.

        Only the holder of the folder's lock may call this. It does nothing the second time.
        """
        remove_leftovers(self._storage, self.finished)
        for name in self._obsolete:
            self._storage.remove(name)
        self._obsolete = []
        if self._extension is not None:
            self._extension.apply(self.description, self._partial)
            self._extension = None
        if not self._storage.exists(DESCRIPTION):
            write_json(self._storage, DESCRIPTION, {**self.description, "complete": False})

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


def _json(description: dict[str, Any]) -> dict[str, Any]:
    """Convert a description as reading it from dataset.json does."""
    converted: dict[str, Any] = json.loads(json.dumps(description))
    return converted
