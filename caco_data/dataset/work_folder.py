"""The folder `.work` of an unfinished data set: names and content of its files.

::

    000000123.tar             a complete location: a shard with this location only
    000000123.truth.json      its ground truth, written before the .tar (simulated source)
    000000123.rejected.json   a rejected location
    000000.parquet            the content of a finished shard (`shard_content`)
    000000-000007.parquet     the content of 8 finished shards
    blocks/                   listings and parts of files that the workers share (STAC)
"""

from __future__ import annotations

import re
from array import array
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from caco_data.storage import Storage

WORK = ".work"
#: Endings of the files of a location.
_KINDS = ("tar", "truth.json", "rejected.json")


def part_file(location_id: int) -> str:
    """Name of the shard with one complete location."""
    return f"{WORK}/{location_id:09d}.tar"


def truth_file(location_id: int) -> str:
    """Name of the ground truth of a complete location."""
    return f"{WORK}/{location_id:09d}.truth.json"


#: Folder for parts of files that the workers of a download share; removed with the others.
BLOCKS = f"{WORK}/blocks"


def rejection_file(location_id: int) -> str:
    """Name of the rejection of a location."""
    return f"{WORK}/{location_id:09d}.rejected.json"


@dataclass(frozen=True, order=True)
class ContentFile:
    """A file with the content of consecutive finished shards."""

    first: int
    """Number of its first shard."""
    last: int
    """Number of its last shard."""

    @property
    def name(self) -> str:
        """Name of the file."""
        numbers = dict.fromkeys((self.first, self.last))
        return f"{WORK}/{'-'.join(f'{number:06d}' for number in numbers)}.parquet"


@dataclass(frozen=True)
class WorkFiles:
    """Files in the folder."""

    contents: list[ContentFile]
    """Files with the content of finished shards, in the order of the shards."""
    superseded: list[ContentFile]
    """Those whose content is in a file of `contents` too."""
    parts: NDArray[np.int64]
    """Locations with a part, ascending."""
    truths: NDArray[np.int64]
    """Locations with a ground truth, ascending."""
    rejections: NDArray[np.int64]
    """Locations with a rejection, ascending."""


def list_work(storage: Storage) -> WorkFiles:
    """List the folder; other files are ignored."""
    files: list[ContentFile] = []
    found: dict[str, array[int]] = {kind: array("q") for kind in _KINDS}
    for name in storage.names(WORK):
        stem = name.removeprefix(f"{WORK}/")
        if numbers := re.fullmatch(r"(\d{6})(?:-(\d{6}))?\.parquet", stem):
            files.append(ContentFile(int(numbers[1]), int(numbers[2] or numbers[1])))
        elif re.fullmatch(r"\d{9}\.\w+(\.json)?", stem) and stem[10:] in found:
            found[stem[10:]].append(int(stem[:9]))
    contents: list[ContentFile] = []
    superseded: list[ContentFile] = []
    for file in sorted(files, key=lambda file: (file.first, -file.last)):
        covered = contents and file.last <= contents[-1].last
        (superseded if covered else contents).append(file)
    ids = (np.sort(np.array(found[kind], np.int64)) for kind in _KINDS)
    return WorkFiles(contents, superseded, *ids)
