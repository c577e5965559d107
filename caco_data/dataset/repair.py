"""Repair of a damaged data set: it becomes an unfinished one, which `download` then finishes."""

from __future__ import annotations

import stat
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from caco_data.dataset.arrays import ArrayFormat, member_formats
from caco_data.dataset.description import read_description
from caco_data.dataset.finished import contents, unpack
from caco_data.dataset.index_files import stream_index
from caco_data.dataset.layout import (
    DESCRIPTION,
    INDEX,
    LOCATIONS,
    REJECTED,
    REJECTED_SCHEMA,
    SPLIT,
    TRUTH,
    shard_file,
)
from caco_data.dataset.parquet_limits import stream_table
from caco_data.dataset.scan import Entry, scan_shard
from caco_data.dataset.shard_check import parse_rows
from caco_data.dataset.shard_content import join_contents, write_contents
from caco_data.dataset.shards import rows_table
from caco_data.dataset.verify import FOREIGN, Verdict
from caco_data.dataset.work_folder import WORK
from caco_data.errors import RENEW_REMEDY, REPAIR_REMEDY, DatasetError
from caco_data.safe_paths import KINDS
from caco_data.storage import Storage, write_json

_MERGE = "Repair the data sets of which it was made, or download them again, then merge them again"
_REPLACE = "Replace each link by the file to which it leads, then verify again"
_ID = "location_id"


def remedy(verdict: Verdict) -> str:
    """Remedy for the problems that were found; `REPAIR_REMEDY` if `repair` fixes them."""
    if all(damage.what == FOREIGN for damage in verdict.damages):
        return "Move these files to another folder"
    if _links(verdict):
        return _REPLACE
    if {damage.where for damage in verdict.damages if damage.what != FOREIGN} == {SPLIT}:
        return "Run 'caco-data split' again"
    if verdict.merged:
        return _MERGE
    if _lost(verdict):
        return RENEW_REMEDY
    return REPAIR_REMEDY


def _links(verdict: Verdict) -> list[str]:
    """Files of the data set that are links: the file behind a link may be undamaged."""
    return [d.where for d in verdict.damages if d.what.startswith(KINDS[stat.S_IFLNK])]


def _lost(verdict: Verdict) -> list[str]:
    """Damaged tables that cannot be rebuilt.

    `download` writes locations.parquet again. index.parquet is rebuilt from the shards; if one of
    them is damaged, the ids of its damaged locations are known from locations.parquet only.
    """
    damaged = {damage.where for damage in verdict.damages if damage.what != FOREIGN}
    lost = damaged & {REJECTED, TRUTH}
    if verdict.broken_shards and damaged >= {INDEX, LOCATIONS}:
        lost |= {INDEX, LOCATIONS}
    return sorted(lost)


def repair(storage: Storage, verdict: Verdict) -> int:
    """Keep the undamaged locations and remove the damaged ones.

    Undamaged shards are not changed. The undamaged locations of a damaged shard are stored as parts
    in the folder `.work`. A damaged index is rebuilt from the shards. Files that do not belong to
    the data set are not touched. Only the holder of the folder's lock may call this.

    The tables and the shards are read once, in step with each other; in memory are the ids of all
    locations (8 bytes each) and the rows of one shard.

    Parameters
    ----------
    storage : Storage
        The data set.
    verdict : Verdict
        Result of its verification.

    Returns
    -------
    int
        Number of locations that `download` has to fetch again.

    Raises
    ------
    DatasetError
        When a damaged table cannot be rebuilt, or the locations are not in the order in which
        `download` writes them; nothing is removed then.
    """
    meta = read_description(storage)
    if verdict.merged:  # its shards are not those of the rows of its locations table
        raise DatasetError("Cannot repair a merged data set", str(storage.root), _MERGE)
    if links := _links(verdict):
        raise DatasetError("Cannot repair a data set with symbolic links", links[0], _REPLACE)
    if lost := _lost(verdict):
        what = f"Cannot repair without {' and '.join(lost)}"
        raise DatasetError(what, str(storage.root), RENEW_REMEDY)
    rebuild = any(damage.where == INDEX for damage in verdict.damages)
    ids, rejected = _location_ids(storage, meta, verdict, rebuild)
    storage.remove_folder(WORK)  # of the run that finished the data set, or of a killed repair
    try:
        _write_work(storage, meta, verdict, ids, rebuild)
    except ValueError as error:
        where = str(storage.root)
        raise DatasetError(f"Cannot repair: {error}", where, RENEW_REMEDY) from error
    unfinished = {key: meta[key] for key in ("format", "software", "source", "settings")}
    write_json(storage, DESCRIPTION, {**unfinished, "complete": False})
    for name in sorted(verdict.broken_shards):
        storage.remove(shard_file(name))
    return ids.size - rejected - verdict.good


def _location_ids(
    storage: Storage, meta: dict[str, Any], verdict: Verdict, rebuild: bool
) -> tuple[NDArray[np.int64], int]:
    """Ids of all locations, ascending, and the number of rejected ones."""
    damaged = {damage.where for damage in verdict.damages}
    batches = stream_table(storage, REJECTED, REJECTED_SCHEMA, [_ID])
    rejected = _ids(batches, REJECTED, storage)
    if not rebuild:
        complete = _ids(stream_index(storage, [_ID]), INDEX, storage)
    elif LOCATIONS not in damaged:
        # The only table with the ids of damaged locations.
        complete = _ids(stream_table(storage, LOCATIONS, columns=[_ID]), LOCATIONS, storage)
    else:
        formats = member_formats(meta["settings"])
        names = [shard["name"] for shard in meta["shards"]]
        found = [e.location_id for name in names for e in _entries(storage, name, formats)]
        complete = np.array(found, np.int64)
    return np.union1d(rejected, complete), np.unique(rejected).size


def _ids(batches: Iterator[pa.RecordBatch], name: str, storage: Storage) -> NDArray[np.int64]:
    """Location ids of a table, each at least once."""
    found = [np.empty(0, np.int64)]
    for batch in batches:
        column = batch.column(0)
        if not pa.types.is_int64(column.type) or column.null_count:
            raise DatasetError("The location ids are not whole numbers", f"{storage.root}/{name}")
        found.append(np.unique(column.to_numpy()))
    return np.concatenate(found)


def _write_work(
    storage: Storage,
    meta: dict[str, Any],
    verdict: Verdict,
    ids: NDArray[np.int64],
    rebuild: bool,
) -> None:
    """Write the files of an unfinished data set into the folder `.work`.

    ValueError when the rows of the tables are not in the order in which `download` writes them.
    """
    formats = member_formats(meta["settings"])
    per_shard = int(meta["settings"]["locations_per_shard"])
    written: set[int] = set()
    for number, (name, content) in enumerate(contents(storage, meta, ids, not rebuild)):
        if name in verdict.broken_shards:
            unpack(storage, name, content, formats, verdict.broken_shards[name])
            continue
        if rebuild and content.shard:
            content = replace(content, rows=_rows_in_shard(storage, name, formats))
        write_contents(storage, number, [content])
        if (number + 1) * per_shard <= ids.size:
            written.add(number)
            join_contents(storage, number, written)


def _entries(storage: Storage, name: str, formats: Mapping[str, ArrayFormat]) -> Iterator[Entry]:
    with storage.open(shard_file(name)) as file:
        yield from scan_shard(file, formats)


def _rows_in_shard(storage: Storage, name: str, formats: Mapping[str, ArrayFormat]) -> pa.Table:
    """Index rows of an undamaged shard, from its json members."""
    rows = [row for entry in _entries(storage, name, formats) for row in parse_rows(entry.json)]
    return rows_table(rows)
