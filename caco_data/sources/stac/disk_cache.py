"""Parts of files on the disk, shared by the workers of a machine and bounded in size."""

from __future__ import annotations

import fcntl
import hashlib
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

#: Maximum size of the cache, bytes, and fraction of it that remains when old parts are removed.
MAX_NBYTES = 4 << 30
_KEPT = 0.8
#: Parts written between two looks at how many are read, and how many of them must be.
_LOOK_PARTS, _READ_PARTS = 64, 8
#: One of so many files is kept when parts are not read again, to notice when that changes.
_SAMPLED = 8
#: Bytes that a process writes between two looks at the size.
_LOOK_NBYTES = 64 << 20


class DiskCache:
    """Parts of files by address and position.

    Parameters
    ----------
    folder : Path or None
        Folder of the cache; None for no cache. Nothing is kept while its parent does not exist: on
        a machine without the data set, and before a download has begun to write.
    max_nbytes : int
        Maximum size, bytes; the oldest parts are removed.
    only_useful : bool
        Whether parts of few files only are kept as long as parts are hardly ever read again.
    """

    def __init__(
        self, folder: Path | None, max_nbytes: int = MAX_NBYTES, only_useful: bool = False
    ) -> None:
        self._folder = folder
        self._max_nbytes = max_nbytes
        self._lock = threading.Lock()
        self._written = 0
        self._only_useful = only_useful
        self._useful = True
        self._parts_written = self._parts_read = 0

    @contextmanager
    def locked(self, href: str) -> Iterator[None]:
        """Exclude all other threads and processes from reading and fetching parts of a file."""
        folder = self._of(href)
        if folder is None:
            yield
            return
        try:
            folder.mkdir(parents=True, exist_ok=True)
            file = (folder / "lock").open("wb")
        except OSError:  # a full or read-only disk: without a cache
            yield
            return
        with file:
            fcntl.flock(file, fcntl.LOCK_EX)  # released by the system when a process is killed
            yield

    def get(self, href: str, start: int) -> bytes | None:
        """Return a part; None when it is not kept."""
        folder = self._of(href)
        if folder is None:
            return None
        try:
            data = (folder / str(start)).read_bytes()
        except OSError:
            return None
        with self._lock:
            self._parts_read += 1
        return data

    def put(self, href: str, start: int, data: bytes) -> None:
        """Keep a part; a failure is ignored."""
        folder = self._of(href)
        if folder is None:
            return
        temporary = folder / f"{start}.{os.getpid()}-{threading.get_ident()}.tmp"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            temporary.write_bytes(data)
            temporary.replace(folder / str(start))
        except OSError:
            with suppress(OSError):
                temporary.unlink()
            return
        with self._lock:
            self._parts_written += 1
            if self._parts_written == _LOOK_PARTS:
                self._useful = self._parts_read >= _READ_PARTS
                self._parts_written = self._parts_read = 0
            self._written += len(data)
            look = self._written >= min(_LOOK_NBYTES, self._max_nbytes // 8)
            if look:
                self._written = 0
        if look:
            self._remove_oldest()

    def _of(self, href: str) -> Path | None:
        if self._folder is None or not self._folder.parent.parent.is_dir():
            return None
        digest = hashlib.sha256(href.encode()).digest()
        if self._only_useful and not self._useful and digest[-1] % _SAMPLED:
            return None
        return self._folder / digest.hex()[:24]

    def _remove_oldest(self) -> None:
        """Remove the oldest parts if the cache is too large."""
        parts = []
        for folder, _, names in os.walk(self._folder or ""):
            for name in names:
                with suppress(OSError):  # removed by another process meanwhile
                    about = os.stat(f"{folder}/{name}")
                    if name != "lock":
                        parts.append((about.st_mtime, about.st_size, f"{folder}/{name}"))
        total = sum(nbytes for _, nbytes, _ in parts)
        if total <= self._max_nbytes:
            return
        for _, nbytes, path in sorted(parts):
            if total <= self._max_nbytes * _KEPT:
                break
            total -= nbytes
            with suppress(OSError):
                os.unlink(path)
