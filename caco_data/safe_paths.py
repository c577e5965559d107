"""Names and files that are opened below a folder: neither `..`, nor links, nor special files."""

from __future__ import annotations

import errno
import os
import stat

from caco_data.errors import DatasetError

#: Kinds of files other than regular files and folders.
KINDS = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
_SUSPICIOUS = "Do not use this folder unless you know who made it"


def check_name(name: str) -> str:
    """Return a name relative to a folder; "" is the folder itself.

    Raises
    ------
    DatasetError
        For an absolute name, a name with `..`, or any other that may denote a file elsewhere.
    """
    parts = name.split("/") if name else []
    if not {"", ".", ".."}.isdisjoint(parts) or "\\" in name or "\0" in name:
        raise DatasetError("A file name that leads out of the folder", name, _SUSPICIOUS)
    return name


def linked(path: str | os.PathLike[str]) -> DatasetError:
    """Error of a symbolic link in place of a file or a folder."""
    return DatasetError(
        "A symbolic link within the folder",
        os.fspath(path),
        "Replace it by what it links to; only the folder itself may be reached by a link",
    )


def file_kind(entry: os.DirEntry[str]) -> str | None:
    """Kind of a link or special file in a folder; None for a regular file or a folder."""
    if entry.is_file(follow_symlinks=False) or entry.is_dir(follow_symlinks=False):
        return None
    mode = entry.stat(follow_symlinks=False).st_mode
    return KINDS.get(stat.S_IFMT(mode), "not a regular file")


def open_regular(path: str | os.PathLike[str], flags: int) -> int:
    """Open a regular file like `os.open`, without following a link or waiting for a pipe.

    Raises
    ------
    DatasetError
        For a link or a special file, and for a file to be changed that has another name elsewhere.
    """
    try:
        descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EMLINK):
            raise linked(path) from error
        if error.errno == errno.ENXIO:  # a pipe that nobody reads
            raise DatasetError("Not a regular file", os.fspath(path), _SUSPICIOUS) from error
        raise
    found = os.fstat(descriptor)
    changes = flags & (os.O_WRONLY | os.O_RDWR)
    if stat.S_ISREG(found.st_mode) and not (changes and found.st_nlink > 1):
        return descriptor
    os.close(descriptor)
    what = "A hard link to another file" if stat.S_ISREG(found.st_mode) else "Not a regular file"
    raise DatasetError(what, os.fspath(path), _SUSPICIOUS)
