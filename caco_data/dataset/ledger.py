"""State of an unfinished data set: which locations are complete, rejected or pending."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from caco_data import __version__
from caco_data.dataset.description import read_description
from caco_data.dataset.extension import Extension
from caco_data.dataset.layout import DESCRIPTION, EVENTS, FORMAT, SHARDS
from caco_data.dataset.leftovers import remove_leftovers
from caco_data.dataset.recovery import Recovered, recover
from caco_data.errors import InputError
from caco_data.settings_diff import difference
from caco_data.storage import Storage, write_json
from caco_data.types import Outcome

#: States of a location; `_REJECTED` + i: rejected for the i-th reason.
_PENDING, _COMPLETE, _REJECTED = 0, 1, 2


class Ledger:
    """Records which locations are settled, including those of earlier runs.

    Construction only reads; `reserve` prepares the folder for writing.

    Parameters
    ----------
    storage : Storage
        Folder of the data set.
    description : dict
        Constant part of dataset.json: source and settings.
    location_ids : array_like of int, shape (N,)
        Locations of the data set, ascending.
    shorter : callable, optional
        Describes a data set of the first n locations. If the folder contains such a data set, it is
        extended.
    on_read : callable, optional
        Called with the number of files of earlier runs that are read, and the number to read.
    names : mapping, optional
        Names of settings in errors (`difference`).

    Raises
    ------
    InputError
        When the folder contains other files, or a data set made with other settings.
    """

    def __init__(
        self,
        storage: Storage,
        description: dict[str, Any],
        location_ids: ArrayLike,
        shorter: Callable[[int], dict[str, Any]] | None = None,
        on_read: Callable[[int, int], None] = lambda done, count: None,
        names: Mapping[str, str] | None = None,
    ) -> None:
        self._storage = storage
        self.description = {
            "format": FORMAT,
            "software": f"caco-data {__version__}",
            **_json(description),
        }
        """Constant part of dataset.json."""
        self.location_ids: NDArray[np.int64] = np.empty(0, np.int64)
        """(N,), all locations, in the order of the locations table."""
        self._states: NDArray[np.uint16] = np.empty(0, np.uint16)
        self._reasons: list[str] = []
        finished, self._extension = self._check(shorter, names)
        self.finished = finished and self._extension is None
        """Whether an earlier run finished the data set."""
        self._earlier = Recovered()
        if not finished:
            is_full = None if self._extension is None else self._extension.is_full
            self._earlier = recover(storage, on_read, is_full)
        elif self._extension is not None:
            self._earlier = self._extension.settled()
        self.finished_shards = self._earlier.finished_shards
        """Numbers of the shards that are written, each with its index."""
        self.extend(location_ids)

    def _check(
        self, shorter: Callable[[int], dict[str, Any]] | None, names: Mapping[str, str] | None
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
                names=names,
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

    def reserve(self) -> None:
        """Write an unfinished dataset.json into an empty folder; remove what killed runs left.

        Only the holder of the folder's lock may call this. It does nothing the second time.
        """
        remove_leftovers(self._storage, self.finished)
        while self._earlier.obsolete:
            self._storage.remove(self._earlier.obsolete.pop())
        if self._extension is not None:
            self._extension.apply(self.description, self._earlier.partial)
            self._extension = None
        if not self._storage.exists(DESCRIPTION):
            write_json(self._storage, DESCRIPTION, {**self.description, "complete": False})

    def extend(self, location_ids: ArrayLike) -> None:
        """Add the locations after those already in the ledger.

        A location that an earlier run settled is recorded only when it is added here, so that a
        resumed `--fill` samples the same replacements.

        Parameters
        ----------
        location_ids : array_like of int, shape (N,)
            All locations, ascending; begins with those already in the ledger.

        Raises
        ------
        ValueError
            When they are not ascending.
        """
        ids = np.asarray(location_ids, np.int64)
        if (np.diff(ids) <= 0).any():
            raise ValueError("the locations are not in ascending order")
        new = ids[self.location_ids.size :]
        states = np.isin(new, self._earlier.complete).astype(np.uint16)
        rejected = self._earlier.rejected
        known = np.isin(new, np.fromiter(rejected, np.int64, len(rejected)))
        states[known] = [self._code(rejected[i]) for i in new[known].tolist()]
        self.location_ids = ids
        self._states = np.concatenate([self._states, states])

    def _code(self, reason: str) -> int:
        """State of a location that is rejected for a reason."""
        if reason not in self._reasons:
            self._reasons.append(reason)
        return _REJECTED + self._reasons.index(reason)

    def row(self, location_id: int) -> int:
        """Row of a location in the locations table."""
        return int(np.searchsorted(self.location_ids, location_id))

    def settle(self, outcome: Outcome) -> None:
        """Record an outcome that is durably stored."""
        if outcome.part is not None:
            self._states[self.row(outcome.location_id)] = _COMPLETE
        elif outcome.rejection is not None:
            code = self._code(outcome.rejection.reason)
            self._states[self.row(outcome.location_id)] = code

    def is_settled(self, rows: slice) -> bool:
        """Whether all locations of some rows are complete or rejected."""
        return bool(self._states[rows].all())

    def settled(self, rows: slice) -> tuple[list[int], list[int]]:
        """Complete and rejected locations of some rows, in order."""
        ids, states = self.location_ids[rows], self._states[rows]
        return ids[states == _COMPLETE].tolist(), ids[states >= _REJECTED].tolist()

    @property
    def complete(self) -> NDArray[np.int64]:
        """Complete locations, ascending; a new array."""
        return self._in_state(_COMPLETE)

    @property
    def pending(self) -> NDArray[np.int64]:
        """Locations that are not settled, ascending; a new array."""
        return self._in_state(_PENDING)

    def _in_state(self, state: int) -> NDArray[np.int64]:
        ids: NDArray[np.int64] = self.location_ids[self._states == state]
        return ids

    @property
    def rejections(self) -> Counter[str]:
        """Number of rejected locations by reason."""
        counts = np.bincount(self._states, minlength=_REJECTED + len(self._reasons))
        found = zip(self._reasons, counts[_REJECTED:].tolist(), strict=True)
        return Counter({reason: count for reason, count in found if count})


def _json(description: dict[str, Any]) -> dict[str, Any]:
    """Convert a description as reading it from dataset.json does."""
    converted: dict[str, Any] = json.loads(json.dumps(description))
    return converted
