"""Files that hash and count the bytes that pass through them."""

from __future__ import annotations

import hashlib
import io
from typing import IO, Any


class HashingFile(io.RawIOBase):
    """Passes writes on while it counts and hashes them, so that a shard is read once only."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._hash = hashlib.sha256()
        self.nbytes = 0

    def write(self, data: Any) -> int:
        """Write, count and hash."""
        self._file.write(data)
        self._hash.update(data)
        self.nbytes += len(data)
        return len(data)

    def tell(self) -> int:
        """Bytes written so far."""
        return self.nbytes

    def writable(self) -> bool:
        """Always."""
        return True

    @property
    def sha256(self) -> str:
        """Digest of all that was written, hexadecimal."""
        return self._hash.hexdigest()


_CHUNK = 1 << 20


class _HashingReader:
    """Hashes and counts what passes by."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._hash = hashlib.sha256()
        self.nbytes = 0

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self._hash.update(data)
        self.nbytes += len(data)
        return data

    def drained_sha256(self) -> str:
        while self.read(_CHUNK):
            pass
        return self._hash.hexdigest()
