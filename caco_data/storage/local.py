"""A folder on a local or mounted disk."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from caco_data.safe_paths import check_name, file_kind, linked, open_regular
from caco_data.storage.base import TEMPORARY, is_content, joined, temporary_name


class LocalStorage:
    """A folder on a local or mounted disk; files are synced to the disk before they are renamed."""

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = str(root)
        self._path = Path(root)

    def path(self, name: str) -> Path:
        """Path of a file, for use with operating system calls.

        Raises
        ------
        DatasetError
            For a name that leads out of the root, or a link.
        """
        path = self._path_in_folder(name)
        if name and path.is_symlink():
            raise linked(path)
        return path

    def _path_in_folder(self, name: str) -> Path:
        """Path of a file that may be a link itself; DatasetError if its folder is a link."""
        path = self._path
        *folders, last = check_name(name).split("/")
        for folder in folders:
            path /= folder
            if path.is_symlink():
                raise linked(path)
        return path / last

    def exists(self, name: str) -> bool:
        """Whether a complete file of this name exists."""
        return self.path(name).is_file()

    def names(self, folder: str = "") -> list[str]:
        """List the complete files directly in a folder, by sorted names relative to the root."""
        return joined(folder, filter(is_content, self._files(folder)))

    def temporaries(self, folder: str = "") -> list[str]:
        """List the temporary files directly in a folder, like `names`."""
        return joined(folder, filter(TEMPORARY.fullmatch, self._files(folder)))

    def irregular(self, folder: str = "") -> dict[str, str]:
        """List the links and special files directly in a folder: kind by name."""
        kinds = {e.name: kind for e in self._entries(folder) if (kind := file_kind(e))}
        return dict(zip(joined(folder, kinds), (kinds[n] for n in sorted(kinds)), strict=True))

    def _files(self, folder: str) -> list[str]:
        return [e.name for e in self._entries(folder) if e.is_file(follow_symlinks=False)]

    def _entries(self, folder: str) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(self.path(folder)) as entries:
                return list(entries)
        except (FileNotFoundError, NotADirectoryError):
            return []

    def sizes(self, folder: str = "") -> dict[str, int]:
        """Sizes in bytes of the complete files directly in a folder, by names like `names`."""
        found = [e for e in self._entries(folder) if e.is_file(follow_symlinks=False)]
        sizes = {e.name: e.stat(follow_symlinks=False).st_size for e in found if is_content(e.name)}
        return dict(zip(joined(folder, sizes), (sizes[n] for n in sorted(sizes)), strict=True))

    def size(self, name: str) -> int:
        """Size of a file in bytes."""
        return self.path(name).stat().st_size

    def read(self, name: str) -> bytes:
        """Read a small file, as last written by any process."""
        with self.open(name) as file:
            return file.read()

    def open(self, name: str) -> IO[bytes]:
        """Open a file for reading."""
        return open(self.path(name), "rb", opener=open_regular)

    @contextmanager
    def writing(self, name: str) -> Iterator[IO[bytes]]:
        """Open a binary file that gets its name once the block ends without an error."""
        path = self._path_in_folder(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(temporary_name(path.name))
        try:
            with temporary.open("xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException as error:
            temporary.unlink(missing_ok=True)
            if isinstance(error, OSError) and not error.filename:  # a full disk
                error.filename = str(path)
            raise
        _sync_folder(path.parent)

    def stage(self, name: str, data: bytes) -> str:
        """Write a file under a temporary name, which is returned; see `adopt`."""
        temporary = temporary_name(name)
        path = self._path_in_folder(temporary)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        return temporary

    def adopt(self, temporary: str, name: str) -> None:
        """Give its name to a file that any process has staged."""
        path = self._path_in_folder(name)
        self._path_in_folder(temporary).replace(path)
        _sync_folder(path.parent)

    def link(self, file: Path, name: str, move: bool = False) -> None:
        """Give a file of the same file system a name here as well; with `move`, instead.

        Raises
        ------
        OSError
            Where the file system does not support this.
        """
        path = self._path_in_folder(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        if move:
            file.replace(path)
        else:
            path.unlink(missing_ok=True)
            path.hardlink_to(file)
        _sync_folder(path.parent)

    def remove(self, name: str) -> None:
        """Remove a file, if it exists."""
        self._path_in_folder(name).unlink(missing_ok=True)

    def remove_folder(self, folder: str) -> None:
        """Remove a folder with its content, if it exists."""
        shutil.rmtree(self.path(folder), ignore_errors=True)


def _sync_folder(path: Path) -> None:
    """Write a folder to the disk: a rename in it is durable only then."""
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
