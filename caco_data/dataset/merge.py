"""Merge of data sets of equal settings into one, without rewriting their shards.

The shards of the parts follow each other and get consecutive numbers. Their bytes are unchanged:
`origin` describes how dataset.json records the names in them. Tables are read and written in
batches. While shards are transferred the folder has no dataset.json, but a plan in `.work`.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from caco_data import __version__
from caco_data.dataset.data_card import data_card
from caco_data.dataset.description import description_digest, read_description
from caco_data.dataset.hashing import file_fault, file_sha256
from caco_data.dataset.layout import (
    CARD,
    DESCRIPTION,
    EVENTS,
    LOCATIONS,
    SHARDS,
    SPLIT,
    shard_name,
    stack_layout,
)
from caco_data.dataset.leftovers import remove_leftovers
from caco_data.dataset.merge_tables import join_events, join_tables
from caco_data.dataset.origin import MAX_LOCATION_ID, Origin
from caco_data.dataset.transfer import transfer
from caco_data.dataset.work_folder import WORK
from caco_data.errors import FINISH_REMEDY, REPAIR_REMEDY, DatasetError, InputError
from caco_data.folder_lock import folder_lock
from caco_data.settings_diff import difference
from caco_data.storage import Storage, open_storage, read_json, write_bytes, write_json

#: What is merged, and how; present until the merge is finished.
PLAN = f"{WORK}/merge.json"
#: Settings that may differ: they concern the choice of locations, not their content.
_MAY_DIFFER = {"locations", "locations_sha256", "fill"}
#: Six digits in a shard's name.
_MAX_SHARDS = 1_000_000


class UnequalSettingsError(InputError):
    """The data sets have different settings."""

    def __init__(self, where: str, lines: list[str]) -> None:
        super().__init__(
            f"The data sets have different settings: {len(lines)} difference"
            f"{'s' if len(lines) > 1 else ''}",
            where,
            "Only data sets that differ in their locations can be merged",
        )
        self.lines = lines
        """One line per difference."""


@dataclass(frozen=True)
class Part:
    """A data set to merge, and its place in the result."""

    storage: Storage
    meta: dict[str, Any]
    """Its dataset.json."""
    first_id: int
    """Its smallest location id."""
    last_id: int
    """Its largest location id."""
    location_offset: int = 0
    """Added to its location ids."""
    first_shard: int = 0
    """Number of its first shard."""

    @property
    def shards(self) -> dict[str, str]:
        """New name of each shard."""
        entries = enumerate(self.meta["shards"], self.first_shard)
        return {entry["name"]: shard_name(number) for number, entry in entries}

    @property
    def where(self) -> str:
        """Folder and range of ids, for messages."""
        return f"{self.storage.root} ({self.first_id} to {self.last_id})"


def merge(
    parts: Sequence[str],
    out: str,
    renumber: bool = False,
    move: bool = False,
    on_shard: Callable[[int, int], None] = lambda done, of: None,
) -> dict[str, Any]:
    """Merge data sets; a merge that was interrupted is continued by the same call.

    Parameters
    ----------
    parts : sequence of str
        Folders or URLs of finished data sets, themselves merged or not.
    out : str
        Folder or URL of the result.
    renumber : bool
        Give the locations of every part but the first new ids: those of a part follow those of the
        part before it, in the same order.
    move : bool
        Move the shards, and remove the parts at the end.
    on_shard : callable
        Called after each shard with the numbers of transferred and of all shards.

    Returns
    -------
    dict
        Content of the new dataset.json.

    Raises
    ------
    InputError
        When the data sets cannot be merged or `out` has other content; nothing is written.
    DatasetError
        When a part is damaged.
    """
    target, sources = open_storage(out), [open_storage(part) for part in parts]
    roots = [_real(storage) for storage in (target, *sources)]
    if len(set(roots)) < len(roots):
        again = next(root for root in roots if roots.count(root) > 1)
        raise InputError("The same folder is given twice", again, "Name each data set once")
    with ExitStack() as stack:
        check = stack.enter_context(folder_lock(target, "caco-data merge")).check
        if move:
            # A lock is a file: not in a folder without a data set.
            for source in filter(lambda source: source.exists(DESCRIPTION), sources):
                stack.enter_context(folder_lock(source, "caco-data merge --move"))
        if target.exists(DESCRIPTION):
            meta = _merged_earlier(target, sources)
            remove_leftovers(target, finished=True)
        else:
            placed = place([_read(source, move) for source in sources], renumber)
            _reserve(target, placed)
            _transfer(placed, target, move, on_shard, check)
            check()
            meta = _finish(placed, target)
        if move:
            for source in sources:
                _remove(source)
    return meta


def _real(storage: Storage) -> str:
    return storage.root if "://" in storage.root else str(Path(storage.root).resolve())


def _read(storage: Storage, moving: bool) -> Part:
    """Read a part; its tables are compared with their digests, its shards with their sizes."""
    meta = read_description(storage)
    if not meta.get("complete"):
        raise InputError("Unfinished data set", storage.root, FINISH_REMEDY)
    faults = [(name, file_fault(storage, name, sha)) for name, sha in meta["tables"].items()]
    for entry in meta["shards"]:
        name = f"{SHARDS}/{entry['name']}"
        if not moving or storage.exists(name):  # an interrupted merge has moved the others
            faults.append((name, file_fault(storage, name, nbytes=entry["nbytes"])))
    for name, fault in faults:
        if fault:
            raise DatasetError(fault.capitalize(), f"{storage.root}/{name}", REPAIR_REMEDY)
    try:
        for entry in meta["shards"]:
            Origin.of(entry)
        first, last = _id_range(storage)
    except (ValueError, KeyError, TypeError) as error:
        raise DatasetError(f"Damaged data set: {error}", storage.root, REPAIR_REMEDY) from error
    return Part(storage, meta, first, last)


def _id_range(storage: Storage) -> tuple[int, int]:
    """Smallest and largest location id, from the statistics in locations.parquet."""
    with storage.open(LOCATIONS) as file:
        metadata = pq.read_metadata(file)
        column = metadata.schema.to_arrow_schema().get_field_index("location_id")
        groups = [metadata.row_group(i).column(column) for i in range(metadata.num_row_groups)]
    found = [group.statistics for group in groups]
    if not found or any(x is None or not x.has_min_max for x in found):
        raise ValueError("locations.parquet has no statistics of location_id")
    return int(min(x.min for x in found)), int(max(x.max for x in found))


def place(parts: list[Part], renumber: bool) -> list[Part]:
    """Check that parts fit together, and give each its place.

    Returns
    -------
    list of Part
        In the order of their location ids in the result.

    Raises
    ------
    InputError
        When settings differ, a part is given twice, or ids of two parts overlap.
    """
    first = parts[0]
    for part in parts[1:]:
        lines = difference(_comparable(first.meta), _comparable(part.meta))
        if lines:
            raise UnequalSettingsError(f"{first.storage.root} -> {part.storage.root}", lines)
    digests = [part.meta["sha256"] for part in parts]
    for i, digest in enumerate(digests):
        if digest in digests[:i]:
            raise InputError(
                f"{parts[digests.index(digest)].storage.root} is a copy of this data set",
                parts[i].storage.root,
                "Leave one of them out",
            )
    if not renumber:
        parts = sorted(parts, key=lambda part: part.first_id)
    placed: list[Part] = []
    shard = 0
    for part in parts:
        offset = 0
        if placed:
            before = placed[-1]
            last = before.last_id + before.location_offset
            if renumber:
                offset = last + 1 - part.first_id
            elif part.first_id <= last:
                raise InputError(
                    f"Location ids of {before.where} and {part.where} overlap",
                    "location_id",
                    "Add --renumber to give the locations of the later one new ids",
                )
        place = Part(part.storage, part.meta, part.first_id, part.last_id, offset, shard)
        placed.append(place)
        shard += len(part.meta["shards"])
    if shard > _MAX_SHARDS or placed[-1].last_id + placed[-1].location_offset > MAX_LOCATION_ID:
        raise InputError(
            "Too many shards or too large location ids", "", "Merge fewer data sets at once"
        )
    return placed


def _comparable(meta: dict[str, Any]) -> dict[str, Any]:
    settings = {key: x for key, x in meta["settings"].items() if key not in _MAY_DIFFER}
    return {"source": meta["source"], "settings": settings, "tables": sorted(meta["tables"])}


def _merged_earlier(target: Storage, sources: Sequence[Storage]) -> dict[str, Any]:
    """Description of a finished merge of the same data sets; InputError for another data set."""
    meta = read_description(target)
    known = {part["sha256"] for part in meta.get("merged", ())}
    for source in sources:
        # With `move`, parts are removed one after the other.
        gone: dict[str, Any] = {"sha256": None}
        found = read_description(source) if source.exists(DESCRIPTION) else gone
        inner = {part["sha256"] for part in found.get("merged", ())}
        if not (known and found["sha256"] in known | {None}) and not (inner and inner <= known):
            raise InputError(
                "The folder contains another data set", target.root, "Choose another --out"
            )
    return meta


def _reserve(target: Storage, placed: list[Part]) -> None:
    """Write the plan into an empty folder, or compare it with that of an interrupted merge."""
    plan = [[part.meta["sha256"], part.location_offset] for part in placed]
    if target.exists(PLAN):
        try:
            same = read_json(target, PLAN) == plan
        except ValueError:
            same = False
        if not same:
            raise InputError(
                "The folder contains an interrupted merge of other data sets",
                target.root,
                "Repeat that command to finish it, or choose another --out",
            )
        remove_leftovers(target, finished=False)
        return
    if target.names() or target.names(SHARDS) or target.names(WORK):
        raise InputError("The folder is not empty", target.root, "Choose an empty --out")
    write_json(target, PLAN, plan)


def _transfer(
    placed: list[Part],
    target: Storage,
    move: bool,
    on_shard: Callable[[int, int], None],
    check: Callable[[], None],
) -> None:
    """Transfer the shards that are not in the target yet."""
    total = sum(len(part.meta["shards"]) for part in placed)
    done = 0
    for part in placed:
        names = part.shards
        for entry in part.meta["shards"]:
            check()
            old, new = f"{SHARDS}/{entry['name']}", f"{SHARDS}/{names[entry['name']]}"
            if not target.exists(new) or target.size(new) != entry["nbytes"]:
                if not part.storage.exists(old):
                    raise DatasetError("Missing shard", f"{part.storage.root}/{old}")
                transfer(part.storage, old, target, new, move)
            elif move:
                part.storage.remove(old)
            done += 1
            on_shard(done, total)


def _finish(placed: list[Part], target: Storage) -> dict[str, Any]:
    """Write the tables, then dataset.json; remove the plan."""
    tables = [(part.storage, part.location_offset, part.shards) for part in placed]
    names = sorted(placed[0].meta["tables"])
    for name in names:
        join_tables(tables, target, name, stack_layout(placed[0].meta["settings"]))
    if any(part.storage.exists(EVENTS) for part in placed):
        join_events([part.storage for part in placed], target)
    meta = _describe(placed)
    meta["tables"] = {name: file_sha256(target, name) for name in names}
    meta["sha256"] = description_digest(meta)
    if "members" in meta["grid"]:  # else the parts were written by an earlier version
        write_bytes(target, CARD, data_card(meta).encode())
    write_json(target, DESCRIPTION, meta)
    target.remove_folder(WORK)
    return meta


def _describe(placed: list[Part]) -> dict[str, Any]:
    """Content of dataset.json without the digests of the tables."""
    shards, merged = [], []
    rejected: Counter[str] = Counter()
    for part in placed:
        names, counts = part.shards, part.meta["counts"]
        shards += [
            Origin.of(entry).entry(entry, names[entry["name"]], part.location_offset)
            for entry in part.meta["shards"]
        ]
        rejected.update(counts["rejected"])
        itself = {
            "name": part.storage.root.rstrip("/").rsplit("/", 1)[-1],
            "sha256": part.meta["sha256"],
            "locations": counts["locations"],
            "location_offset": 0,
        }
        merged += [
            inner | {"location_offset": inner["location_offset"] + part.location_offset}
            for inner in part.meta.get("merged") or [itself]
        ]
    first = placed[0].meta
    total = {
        key: sum(part.meta["counts"][key] for part in placed) for key in ("locations", "complete")
    }
    points = [
        [part.meta["settings"].get("locations_sha256"), part.location_offset] for part in placed
    ]
    chosen = {
        "locations": total["locations"],
        "locations_sha256": hashlib.sha256(repr(points).encode()).hexdigest(),
        "fill": False,
    }
    return {
        "format": first["format"],
        "software": f"caco-data {__version__}",
        "source": first["source"],
        "settings": first["settings"] | chosen,
        "grid": first["grid"],
        "complete": True,
        "counts": {
            **total,
            "rejected": dict(sorted(rejected.items())),
            "nbytes": sum(entry["nbytes"] for entry in shards),
        },
        "shards": shards,
        "merged": merged,
    }


def _remove(storage: Storage) -> None:
    """Remove a part whose shards have been moved; files that are not its own are kept."""
    if not storage.exists(DESCRIPTION):
        return
    tables = read_description(storage)["tables"]
    for name in (*tables, SPLIT, CARD, EVENTS, DESCRIPTION):
        storage.remove(name)
    storage.remove_folder(WORK)
    if not storage.names(SHARDS):
        storage.remove_folder(SHARDS)
