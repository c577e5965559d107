"""The interface of storages, and the names of temporary files."""

from __future__ import annotations

import os
import re
import secrets
from abc import ABC, abstractmethod
from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import IO, Protocol

#: File with the holder of the folder's lock (`caco_data.folder_lock`); not part of the content.
LOCK = ".lock"
#: NAME.PID-RANDOM.tmp; NAME.tmp was written by earlier versions.
TEMPORARY = re.compile(r"[^\\]+\.(\d+-\w+|json|parquet|tar|csv|pt|safetensors)\.tmp")


def temporary_name(name: str) -> str:
    """Make a unique temporary name for a file that is being written."""
    return f"{name}.{os.getpid()}-{secrets.token_hex(4)}.tmp"


def is_content(name: str) -> bool:
    """Whether a name is that of a complete file, not of a temporary one or the lock."""
    return name != LOCK and not TEMPORARY.fullmatch(name)


def joined(folder: str, names: Iterable[str]) -> list[str]:
    """Names relative to the root of files in a folder, sorted."""
    return sorted(f"{folder}/{name}" if folder else name for name in names)


class Storage(Protocol):
    """A folder of files, some of them in subfolders."""

    @property
    def root(self) -> str:
        """Path or URL that was opened."""
        ...

    def exists(self, name: str) -> bool:
        """Whether a complete file of this name exists."""
        ...

    def names(self, folder: str = "") -> list[str]:
        """List the complete files directly in a folder, by sorted names relative to the root.

        Neither temporary files nor the folder's lock are listed.
        """
        ...

    def temporaries(self, folder: str = "") -> list[str]:
        """List the temporary files directly in a folder, like `names`."""
        ...

    def irregular(self, folder: str = "") -> dict[str, str]:
        """List the links and special files directly in a folder: kind by name."""
        ...

    def sizes(self, folder: str = "") -> dict[str, int]:
        """Sizes in bytes of the complete files directly in a folder, by names like `names`."""
        ...

    def size(self, name: str) -> int:
        """Size of a file in bytes."""
        ...

    def read(self, name: str) -> bytes:
        """Read a small file, as last written by any process."""
        ...

    def open(self, name: str) -> IO[bytes]:
        """Open a file for reading."""
        ...

    def writing(self, name: str) -> AbstractContextManager[IO[bytes]]:
        """Open a binary file that gets its name once the block ends without an error."""
        ...

    def remove(self, name: str) -> None:
        """Remove a file, if it exists."""
        ...

    def remove_folder(self, folder: str) -> None:
        """Remove a folder with its content, if it exists."""
        ...


class RemoteFolder(ABC):
    """The part of a remote storage that follows from a list of its files."""

    root: str

    @abstractmethod
    def entries(self, folder: str) -> dict[str, int]:
        """Sizes in bytes of the files directly in a folder, by their last name."""

    @abstractmethod
    def copy(self, source: Storage, name: str, new: str) -> bool:
        """Let the service copy a file of another storage; False if this is impossible."""

    def where(self, name: str) -> str:
        """URL of a file, for messages."""
        return f"{self.root}/{name}" if name else self.root

    def names(self, folder: str = "") -> list[str]:
        """List the complete files directly in a folder, by sorted names relative to the root."""
        return joined(folder, filter(is_content, self.entries(folder)))

    def temporaries(self, folder: str = "") -> list[str]:
        """List the temporary files directly in a folder, like `names`."""
        return joined(folder, filter(TEMPORARY.fullmatch, self.entries(folder)))

    def sizes(self, folder: str = "") -> dict[str, int]:
        """Sizes in bytes of the complete files directly in a folder, by names like `names`."""
        sizes = {name: size for name, size in self.entries(folder).items() if is_content(name)}
        return dict(zip(joined(folder, sizes), (sizes[n] for n in sorted(sizes)), strict=True))

    def irregular(self, folder: str = "") -> dict[str, str]:
        """Return an empty mapping: remote storages have no links that could be followed."""
        return {}
