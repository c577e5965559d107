"""Turning a damaged data set into an unfinished one, which `download` then finishes."""

from __future__ import annotations

import io

import pyarrow as pa
import pyarrow.compute as pc

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
)
from caco_data.dataset.reader import read_description, read_table
from caco_data.dataset.shards import Record, scan_shard, write_shard
from caco_data.dataset.verify import Verdict
from caco_data.dataset.writer import WORK, to_json, write_part
from caco_data.errors import DatasetError
from caco_data.storage import Storage, write_bytes


def repair(storage: Storage, verdict: Verdict) -> int:
    """Keep every sound location, drop the broken ones.

    Sound shards stay as they are; of a broken one the sound locations go back to the workspace.
    Foreign files are left alone.

    Parameters
    ----------
    storage : Storage
        The data set.
    verdict : Verdict
        What `verify` found in it.

    Returns
    -------
    int
        Locations that `download` has to fetch again.

    Raises
    ------
    DatasetError
        When a table that cannot be made anew from the shards is damaged.
    """
    meta = read_description(storage)
    broken_tables = {d.where for d in verdict.damages} & set(meta["tables"])
    lost = sorted(broken_tables - {LOCATIONS})  # download brings its own locations
    if lost:
        raise DatasetError(
            f"Cannot repair without {' and '.join(lost)}",
            str(storage.root),
            "Download the data set anew into another folder",
        )
    index = read_table(storage, INDEX, INDEX_SCHEMA)
    rejected = read_table(storage, REJECTED, REJECTED_SCHEMA)
    truth = (
        read_table(storage, TRUTH, TRUTH_SCHEMA)
        if TRUTH in meta["tables"]
        else TRUTH_SCHEMA.empty_table()
    )
    complete = set(index["location_id"].unique().to_pylist())
    ids = sorted(complete | set(rejected["location_id"].to_pylist()))
    described = {shard["name"]: shard for shard in meta["shards"]}
    per_shard = int(meta["settings"]["locations_per_shard"])
    for number, first in enumerate(range(0, len(ids), per_shard)):
        name = f"{number:06d}.tar"
        here = pa.array(ids[first : first + per_shard])
        rejections = rejected.filter(pc.is_in(rejected["location_id"], here)).to_pylist()
        truths = truth.filter(pc.is_in(truth["location_id"], here)).to_pylist()
        if name not in verdict.broken_shards:
            rows = index.filter(pc.is_in(index["location_id"], here))
            shard_meta = {"rejected": rejections, "truth": truths, "shard": described.get(name)}
            write_part(storage, number, rows, shard_meta)
            continue
        for row in rejections:
            write_bytes(storage, f"{WORK}/{row['location_id']:09d}.rejected.json", to_json(row))
        for row in truths:
            location_id = row.pop("location_id")
            write_bytes(storage, f"{WORK}/{location_id:09d}.truth.json", to_json(row))
        _return_sound_locations(storage, f"{SHARDS}/{name}", index, verdict)
    unfinished = {key: meta[key] for key in ("format", "software", "source", "settings")}
    write_bytes(storage, DESCRIPTION, to_json({**unfinished, "complete": False}))
    for name in sorted(verdict.broken_shards):
        storage.remove(f"{SHARDS}/{name}")
    return len(complete - verdict.good_locations)


def _return_sound_locations(storage: Storage, name: str, index: pa.Table, verdict: Verdict) -> None:
    """Write the sound locations of a broken shard as parts."""
    rows = index.filter(pc.equal(index["shard"], name.removeprefix(f"{SHARDS}/")))
    wanted = set(rows["location_id"].to_pylist()) & verdict.good_locations
    if not wanted:
        return
    with storage.open(name) as file:
        for entry in scan_shard(file):
            if entry.location_id in wanted:
                wanted.remove(entry.location_id)
                part = io.BytesIO()
                write_shard(part, "", [Record.of(entry)])
                write_bytes(storage, f"{WORK}/{entry.location_id:09d}.tar", part.getvalue())
            if not wanted:
                return
