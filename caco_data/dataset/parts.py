"""Return of a shard's locations to the folder `.work`, from which the shard is written again."""

from __future__ import annotations

import io
from collections.abc import Collection, Mapping

from caco_data.dataset.arrays import ArrayFormat
from caco_data.dataset.scan import scan_shard
from caco_data.dataset.shards import Record, write_shard
from caco_data.dataset.work_folder import ShardIndex, part_file, rejection_file, truth_file
from caco_data.storage import Storage, write_bytes, write_json


def unpack(
    storage: Storage,
    name: str,
    content: ShardIndex,
    formats: Mapping[str, ArrayFormat],
    wanted: Collection[int],
) -> None:
    """Write the wanted locations of a shard as parts, and its rejections and ground truth.

    Parameters
    ----------
    storage : Storage
        The data set.
    name : str
        The shard; not read when none of its locations is wanted.
    content : ShardIndex
        Its content.
    formats : mapping
        Formats of its members (`member_formats`).
    wanted : collection of int
        The locations to keep; others may be among them.

    Raises
    ------
    tarfile.TarError, ValueError
        When a wanted location cannot be read.
    """
    for row in content.rejected:
        write_json(storage, rejection_file(row["location_id"]), row)
    for row in content.truth:
        truth = {key: value for key, value in row.items() if key != "location_id"}
        write_json(storage, truth_file(row["location_id"]), truth)
    left = set(content.rows["location_id"].to_pylist()).intersection(wanted)
    if not left:
        return
    with storage.open(name) as file:
        for entry in scan_shard(file, formats):
            if entry.location_id in left:
                left.remove(entry.location_id)
                part = io.BytesIO()
                write_shard(part, "", [Record.of(entry)])
                write_bytes(storage, part_file(entry.location_id), part.getvalue())
            if not left:
                return
