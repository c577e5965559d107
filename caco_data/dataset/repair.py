"""Repair of a damaged data set: it becomes an unfinished one, which `download` then finishes."""

from __future__ import annotations

import io

import pyarrow as pa
import pyarrow.compute as pc

from caco_data.dataset.description import read_description
from caco_data.dataset.layout import (
    DESCRIPTION,
    INDEX,
    INDEX_SCHEMA,
    LOCATIONS,
    REJECTED,
    REJECTED_SCHEMA,
    SHARDS,
    TRUTH,
    TRUTH_SCHEMA,
    shard_name,
)
from caco_data.dataset.shards import Record, scan_shard, write_shard
from caco_data.dataset.tables import read_table
from caco_data.dataset.verify import Verdict
from caco_data.dataset.work_folder import (
    ShardIndex,
    part_file,
    rejection_file,
    truth_file,
    write_shard_index,
)
from caco_data.errors import DatasetError
from caco_data.storage import Storage, write_bytes, write_json


def repair(storage: Storage, verdict: Verdict) -> int:
    """Keep the undamaged locations and remove the damaged ones.

    Undamaged shards are not changed. The undamaged locations of a damaged shard are stored as parts
    in the folder `.work`. Files that do not belong to the data set are not touched.

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
    broken_tables = {d.where for d in verdict.damages} & set(meta["tables"])
    lost = sorted(broken_tables - {LOCATIONS})  # `download` writes this table again
    if lost:
        raise DatasetError(
            f"Cannot repair without {' and '.join(lost)}",
            str(storage.root),
            "Download the data set again into another folder",
        )
    index = read_table(storage, INDEX, INDEX_SCHEMA)
    rejected = read_table(storage, REJECTED, REJECTED_SCHEMA)
    has_truth = TRUTH in meta["tables"]
    truth = read_table(storage, TRUTH, TRUTH_SCHEMA) if has_truth else TRUTH_SCHEMA.empty_table()
    complete = set(index["location_id"].unique().to_pylist())
    ids = sorted(complete | set(rejected["location_id"].to_pylist()))
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
            _unpack(storage, f"{SHARDS}/{name}", content, verdict.good_locations)
        else:
            write_shard_index(storage, number, content)
    unfinished = {key: meta[key] for key in ("format", "software", "source", "settings")}
    write_json(storage, DESCRIPTION, {**unfinished, "complete": False})
    for name in sorted(verdict.broken_shards):
        storage.remove(f"{SHARDS}/{name}")
    return len(complete - verdict.good_locations)


def _of(table: pa.Table, location_ids: pa.Array) -> pa.Table:
    """Rows of the given locations."""
    return table.filter(pc.is_in(table["location_id"], location_ids))


def _unpack(storage: Storage, name: str, content: ShardIndex, good: frozenset[int]) -> None:
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
        for entry in scan_shard(file):
            if entry.location_id in wanted:
                wanted.remove(entry.location_id)
                part = io.BytesIO()
                write_shard(part, "", [Record.of(entry)])
                write_bytes(storage, part_file(entry.location_id), part.getvalue())
            if not wanted:
                return
