"""SHA-256 digests of files while they are read or written, and comparison with recorded ones."""

from __future__ import annotations

import hashlib
from typing import IO

from caco_data.storage import Storage

_CHUNK = 1 << 20  # bytes


class _Hashing:
    """A file with the count and digest of the bytes passed through it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._hash = hashlib.sha256()
        self.nbytes = 0
        """Bytes read or written so far."""

    def _count(self, data: bytes) -> None:
        self._hash.update(data)
        self.nbytes += len(data)

    @property
    def sha256(self) -> str:
        """Hexadecimal digest of the bytes read or written so far."""
        return self._hash.hexdigest()


class HashingReader(_Hashing):
    """Reads from a file, counting and hashing the bytes."""

    def read(self, size: int = -1) -> bytes:
        """Read up to `size` bytes, or the rest of the file."""
        data = self._file.read(size)
        self._count(data)
        return data

    def read_to_end(self) -> None:
        """Read the rest, for the size and digest of the whole file."""
        while self.read(_CHUNK):
            pass


class HashingWriter(_Hashing):
    """Writes to a file, counting and hashing the bytes, without reading it again."""

    def write(self, data: bytes) -> int:
        """Write all of `data`."""
        self._file.write(data)
        self._count(data)
        return len(data)

    def tell(self) -> int:
        """Bytes written so far."""
        return self.nbytes

    @property
    def closed(self) -> bool:
        """Whether the file is closed; pyarrow asks for it."""
        return self._file.closed

    def flush(self) -> None:
        """Pass the bytes on to the operating system."""
        self._file.flush()


def file_sha256(storage: Storage, name: str) -> str:
    """Hexadecimal SHA-256 of a file."""
    with storage.open(name) as file:
        reader = HashingReader(file)
        reader.read_to_end()
    return reader.sha256


def file_fault(
    storage: Storage, name: str, sha256: str | None = None, nbytes: int | None = None
) -> str | None:
    """Compare a file with its recorded digest and size.

    Parameters
    ----------
    storage : Storage
        The data set.
    name : str
        The file.
    sha256 : str, optional
        Recorded digest, hexadecimal; not compared if None.
    nbytes : int, optional
        Recorded size; not compared if None.

    Returns
    -------
    str or None
        What is wrong with the file; None if it matches.
    """
    if not storage.exists(name):
        return "missing file"
    if nbytes is not None and (found := storage.size(name)) != nbytes:
        return f"{found} bytes instead of {nbytes}"
    if sha256 is not None and file_sha256(storage, name) != sha256:
        return "changed since it was written (SHA-256)"
    return None
