"""What earlier runs settled, read from the folder `.work` of an unfinished data set."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from caco_data.dataset.read_ahead import read_ahead, threads_for
from caco_data.dataset.shard_content import ShardContent, iter_contents
from caco_data.dataset.work_folder import list_work, part_file, rejection_file, truth_file
from caco_data.storage import Storage, read_json

#: Reasons of rejection in data sets of earlier versions that are failures of the service or of
#: the machine, not properties of the location: it is fetched again.
_FAILURES = {"permanent error", "retries used up", "crash"}


@dataclass(frozen=True)
class Recovered:
    """Outcomes of earlier runs."""

    complete: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    """Complete locations, ascending."""
    rejected: dict[int, str] = field(default_factory=dict)
    """Reason of rejection by location."""
    finished_shards: set[int] = field(default_factory=set)
    """Numbers of the shards that are written, each with its content."""
    obsolete: list[str] = field(default_factory=list)
    """Files in the folder `.work` that have no use any more."""
    partial: int | None = None
    """The last finished shard, if further rows are added to it."""


def recover(
    storage: Storage,
    on_read: Callable[[int, int], None],
    is_full: Callable[[ShardContent], bool] | None = None,
) -> Recovered:
    """Read the outcomes of earlier runs.

    The time is proportional to the number of files in the folder. Of the index rows of
    a shard only the location ids are read.

    Parameters
    ----------
    storage : Storage
        Folder of the data set.
    on_read : callable
        Called with the number of files read and the number of files to read, if there are any:
        before the first file and after each.
    is_full : callable, optional
        Whether all rows of a shard are settled; only those are finished. All are if None.
    """
    work = list_work(storage)
    count = len(work.contents) + len(work.rejections)
    if count:
        on_read(0, count)
    complete: list[NDArray[np.int64]] = []
    rejected: dict[int, str] = {}
    finished: set[int] = set()
    obsolete = [file.name for file in work.superseded]
    partial: int | None = None
    found = iter_contents(storage, work.contents, ["location_id"])
    for done, (file, contents) in enumerate(found, 1):
        for number, content in enumerate(contents, file.first):
            reasons = {row["location_id"]: sys.intern(row["reason"]) for row in content.rejected}
            fetched_again = content.shard is None and not _FAILURES.isdisjoint(reasons.values())
            if fetched_again and len(contents) == 1:  # earlier versions did not join files
                obsolete.append(file.name)  # no shard has been written
                continue
            if is_full is None or is_full(content):
                finished.add(number)
            else:
                partial = number
            complete.append(_distinct(content.rows["location_id"].to_numpy()))
            rejected |= reasons
        on_read(done, count)
    in_shards = np.concatenate([*complete, np.array(sorted(rejected), np.int64)])
    # A run may end after a shard is written, before the files of its locations are removed.
    for ids, name_of in (
        (work.parts, part_file),
        (work.truths, truth_file),
        (work.rejections, rejection_file),
    ):
        obsolete += [name_of(i) for i in ids[np.isin(ids, in_shards)].tolist()]
    complete.append(np.setdiff1d(work.parts, in_shards, assume_unique=True))
    alone = np.setdiff1d(work.rejections, in_shards, assume_unique=True).tolist()
    for done, (location_id, reason) in enumerate(_reasons(storage, alone), 1):
        if reason in _FAILURES:
            obsolete.append(rejection_file(location_id))
        else:
            rejected[location_id] = reason
        on_read(len(work.contents) + done, count)
    return Recovered(
        _distinct(np.sort(np.concatenate(complete))), rejected, finished, obsolete, partial
    )


def _distinct(ids: NDArray[np.int64]) -> NDArray[np.int64]:
    """Distinct values of ascending ids."""
    distinct: NDArray[np.int64] = ids[np.diff(ids, prepend=-1) != 0]
    return distinct


def _reasons(storage: Storage, location_ids: list[int]) -> Iterator[tuple[int, str]]:
    """Reasons of the rejections that are not in a shard, with their locations."""
    found = read_ahead(
        lambda i: read_json(storage, rejection_file(i))["reason"],
        location_ids,
        threads_for(storage),
    )
    for location_id, reason in zip(location_ids, found, strict=True):
        yield location_id, sys.intern(reason)
