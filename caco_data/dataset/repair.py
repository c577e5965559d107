"""Repair of a damaged data set: it becomes an unfinished one, which `download` then finishes."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from caco_data.dataset.arrays import ArrayFormat, member_formats
from caco_data.dataset.description import read_description
from caco_data.dataset.layout import (
    DESCRIPTION,
    INDEX,
    INDEX_SCHEMA,
    LOCATIONS,
    REJECTED,
    REJECTED_SCHEMA,
    TRUTH,
    TRUTH_SCHEMA,
    shard_file,
    shard_name,
)
from caco_data.dataset.scan import scan_shard
from caco_data.dataset.shards import Record, rows_table, write_shard
from caco_data.dataset.tables import read_parquet, read_table
from caco_data.dataset.verify import FOREIGN, Verdict
from caco_data.dataset.work_folder import (
    WORK,
    ShardIndex,
    part_file,
    rejection_file,
    truth_file,
    write_shard_index,
)
from caco_data.errors import REPAIR_REMEDY, DatasetError
from caco_data.storage import Storage, write_bytes, write_json

_RENEW = "Download the data set again into another folder"


def remedy(verdict: Verdict) -> str:
    """Remedy for the problems that were found; `REPAIR_REMEDY` if `repair` fixes them."""
    if _lost(verdict):
        return _RENEW
    if all(damage.what == FOREIGN for damage in verdict.damages):
        return "Move these files to another folder"
    return REPAIR_REMEDY


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
        When a damaged table cannot be rebuilt.
    """
    meta = read_description(storage)
    if lost := _lost(verdict):
        raise DatasetError(f"Cannot repair without {' and '.join(lost)}", str(storage.root), _RENEW)
    formats = member_formats(meta["settings"])
    rebuild = any(damage.where == INDEX for damage in verdict.damages)
    index = (
        _index_of_shards(storage, meta, formats, verdict.good_locations)
        if rebuild
        else read_table(storage, INDEX, INDEX_SCHEMA)
    )
    rejected = read_table(storage, REJECTED, REJECTED_SCHEMA)
    has_truth = TRUTH in meta["tables"]
    truth = read_table(storage, TRUTH, TRUTH_SCHEMA) if has_truth else TRUTH_SCHEMA.empty_table()
    rejected_ids = set(rejected["location_id"].to_pylist())
    ids = sorted(rejected_ids | set(index["location_id"].unique().to_pylist()))
    if rebuild and verdict.broken_shards:
        ids = read_parquet(storage, LOCATIONS, ["location_id"])["location_id"].to_pylist()
    storage.remove_folder(WORK)  # of the run that finished the data set, or of a killed repair
    entries = {shard["name"]: shard for shard in meta["shards"]}
    per_shard = int(meta["settings"]["locations_per_shard"])
    for number, first in enumerate(range(0, len(ids), per_shard)):
        name = shard_name(number)
        here = pa.array(ids[first : first + per_shard])
        content = ShardIndex(
            rows=_of(index, here),
            rejected=_of(rejected, here).to_pylist(),
            truth=_of(truth, here).to_pylist(),
            shard=entries.get(name),
        )
        if name in verdict.broken_shards:
            _unpack(storage, shard_file(name), content, formats, verdict.good_locations)
        else:
            write_shard_index(storage, number, content)
    unfinished = {key: meta[key] for key in ("format", "software", "source", "settings")}
    write_json(storage, DESCRIPTION, {**unfinished, "complete": False})
    for name in sorted(verdict.broken_shards):
        storage.remove(shard_file(name))
    return len(set(ids) - rejected_ids - verdict.good_locations)


def _index_of_shards(
    storage: Storage,
    meta: dict[str, Any],
    formats: Mapping[str, ArrayFormat],
    good: frozenset[int],
) -> pa.Table:
    """Rebuild the index of the undamaged locations from the json members of the shards."""
    tables = [INDEX_SCHEMA.empty_table()]
    for shard in meta["shards"]:
        rows = []
        # An unreadable rest of a shard contains no undamaged location.
        with (
            suppress(FileNotFoundError, tarfile.TarError, ValueError, EOFError),
            storage.open(shard_file(shard["name"])) as file,
        ):
            for entry in scan_shard(file, formats):
                if entry.location_id in good:
                    rows += [r for r in json.loads(entry.json) if r["shard"] == shard["name"]]
        tables.append(rows_table(rows))
    return pa.concat_tables(tables)


def _of(table: pa.Table, location_ids: pa.Array) -> pa.Table:
    """Rows of the given locations."""
    return table.filter(pc.is_in(table["location_id"], location_ids))


def _unpack(
    storage: Storage,
    name: str,
    content: ShardIndex,
    formats: Mapping[str, ArrayFormat],
    good: frozenset[int],
) -> None:
    """Write the undamaged locations of a damaged shard as parts, and its rejections."""
    for row in content.rejected:
        write_json(storage, rejection_file(row["location_id"]), row)
    for row in content.truth:
        truth = {key: value for key, value in row.items() if key != "location_id"}
        write_json(storage, truth_file(row["location_id"]), truth)
    wanted = set(content.rows["location_id"].to_pylist()) & good
    if not wanted:
        return
    with storage.open(name) as file:
        for entry in scan_shard(file, formats):
            if entry.location_id in wanted:
                wanted.remove(entry.location_id)
                part = io.BytesIO()
                write_shard(part, "", [Record.of(entry)])
                write_bytes(storage, part_file(entry.location_id), part.getvalue())
            if not wanted:
                return
