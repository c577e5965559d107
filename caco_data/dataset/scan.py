"""Reading of a shard from its start to its end, without trust in its content.

A shard is a plain tar (ustar) of regular members. Names and sizes are compared with those of the
format before a member is read; every extension of tar (links, sparse files, long names, pax
headers) is refused.
"""

from __future__ import annotations

import tarfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from caco_data.dataset.arrays import ArrayFormat
from caco_data.dataset.layout import split_member_name

JSON = "json"
"""Name of the last member of each location, with its index rows."""
MAX_JSON_NBYTES = 1 << 18
"""Maximum size of this member; about 12 kB in practice."""
_CHUNK = 1 << 20


class Readable(Protocol):
    """A binary file."""

    def read(self, size: int = -1, /) -> bytes:
        """Read up to `size` bytes."""
        ...


@dataclass(frozen=True, slots=True)
class Entry:
    """Members of one location in a shard, not decoded."""

    location_id: int
    arrays: dict[str, bytes]
    """Array members by name without the key (`early.npy`)."""
    offsets: dict[str, int]
    """Bytes from the start of the shard to these members, by the same names."""
    json: bytes
    """The `.json` member."""


def scan_shard(file: Readable, formats: Mapping[str, ArrayFormat]) -> Iterator[Entry]:
    """Read a shard's locations in order, one at a time, and then the rest of the file.

    Parameters
    ----------
    file : binary file
        At the start of the shard.
    formats : mapping
        Array members of each location, from `member_formats`.

    Raises
    ------
    tarfile.TarError, ValueError
        For a truncated or damaged tar, and for members that are not those of the format.
    """

    def limit(name: str) -> int:
        member = split_member_name(name)[1]
        if member != JSON and member not in formats:
            raise ValueError(f"member '{name}' is not one of the format")
        return MAX_JSON_NBYTES if member == JSON else formats[member].max_nbytes

    previous = -1
    entry: Entry | None = None
    for name, offset, data in _members(file, limit):
        location_id, member = split_member_name(name)
        if entry is None:
            entry = Entry(location_id, {}, {}, b"")
        if location_id != entry.location_id or location_id <= previous or member in entry.arrays:
            raise ValueError(f"member '{name}' is not in order")
        if member == JSON:
            yield Entry(location_id, entry.arrays, entry.offsets, data)
            previous, entry = location_id, None
        else:
            entry.arrays[member] = data
            entry.offsets[member] = offset
    if entry is not None:
        raise ValueError(f"location {entry.location_id} has no json member")


def _members(file: Readable, limit: Callable[[str], int]) -> Iterator[tuple[str, int, bytes]]:
    """Yield name, offset and content of each member.

    `limit` returns the maximum size of a member, or raises ValueError for its name.
    """
    at = 0
    while any(header := _read(file, tarfile.BLOCKSIZE)):
        info = tarfile.TarInfo.frombuf(header, "ascii", "backslashreplace")
        if info.type != tarfile.REGTYPE:
            raise ValueError(f"member '{info.name[:100]}' is not a regular file")
        if not 0 <= info.size <= limit(info.name):
            raise ValueError(
                f"member '{info.name}' has {info.size} bytes, more than the settings permit"
            )
        at += tarfile.BLOCKSIZE
        data = _read(file, info.size)
        padding = -info.size % tarfile.BLOCKSIZE
        _read(file, padding)
        yield info.name, at, data
        at += info.size + padding
    while chunk := file.read(_CHUNK):
        if chunk.strip(b"\0"):
            raise ValueError("data after the end of the tar")


def _read(file: Readable, size: int) -> bytes:
    data = file.read(size) if size else b""
    if len(data) < size:
        raise ValueError("the tar is truncated")
    return data
