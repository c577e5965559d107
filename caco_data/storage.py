"""Storage of a data set: a local folder or an fsspec URL (`s3://`, `gs://`, `memory://`).

Files are written atomically: under a temporary name, flushed to the disk, then renamed. Temporary
names are unique, so that two writers never share a file. Names are relative to the root, with
forward slashes.

No name leads out of the root: absolute names and `..` are refused, and so are links below the root.
Only regular files are opened. The root itself may be a link.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Protocol

from caco_data.errors import InputError
from caco_data.safe_paths import check_name, file_kind, linked, open_regular

#: File with the holder of the folder's lock (`caco_data.folder_lock`); not part of the content.
LOCK = ".lock"
#: NAME.PID-RANDOM.tmp; NAME.tmp was written by earlier versions.
_TEMPORARY = re.compile(r"[^\\]+\.(\d+-\w+|json|parquet|tar|csv|pt|safetensors)\.tmp")


def _temporary_name(name: str) -> str:
    return f"{name}.{os.getpid()}-{secrets.token_hex(4)}.tmp"


def _is_content(name: str) -> bool:
    return name != LOCK and not _TEMPORARY.fullmatch(name)


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
        return _joined(folder, filter(_is_content, self._files(folder)))

    def temporaries(self, folder: str = "") -> list[str]:
        """List the temporary files directly in a folder, like `names`."""
        return _joined(folder, filter(_TEMPORARY.fullmatch, self._files(folder)))

    def irregular(self, folder: str = "") -> dict[str, str]:
        """List the links and special files directly in a folder: kind by name."""
        kinds = {e.name: kind for e in self._entries(folder) if (kind := file_kind(e))}
        return dict(zip(_joined(folder, kinds), (kinds[n] for n in sorted(kinds)), strict=True))

    def _files(self, folder: str) -> list[str]:
        return [e.name for e in self._entries(folder) if e.is_file(follow_symlinks=False)]

    def _entries(self, folder: str) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(self.path(folder)) as entries:
                return list(entries)
        except (FileNotFoundError, NotADirectoryError):
            return []

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
        temporary = path.with_name(_temporary_name(path.name))
        try:
            with temporary.open("xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)

    def stage(self, name: str, data: bytes) -> str:
        """Write a file under a temporary name, which is returned; see `adopt`."""
        temporary = _temporary_name(name)
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

    def remove(self, name: str) -> None:
        """Remove a file, if it exists."""
        self._path_in_folder(name).unlink(missing_ok=True)

    def remove_folder(self, folder: str) -> None:
        """Remove a folder with its content, if it exists."""
        shutil.rmtree(self.path(folder), ignore_errors=True)


class RemoteStorage:
    """A prefix of an fsspec file system; object stores list complete objects only."""

    def __init__(self, url: str) -> None:
        import fsspec

        self.root = url.rstrip("/")
        try:
            self._fs, self._prefix = fsspec.core.url_to_fs(self.root)
        except (ImportError, ValueError) as error:
            raise InputError(f"Cannot open this storage: {error}", url) from error

    def _full(self, name: str) -> str:
        return f"{self._prefix}/{check_name(name)}" if name else self._prefix

    def exists(self, name: str) -> bool:
        """Whether a complete file of this name exists."""
        return bool(self._fs.isfile(self._full(name)))

    def names(self, folder: str = "") -> list[str]:
        """List the complete files directly in a folder, by sorted names relative to the root."""
        return _joined(folder, filter(_is_content, self._files(folder)))

    def temporaries(self, folder: str = "") -> list[str]:
        """List the temporary files directly in a folder, like `names`."""
        return _joined(folder, filter(_TEMPORARY.fullmatch, self._files(folder)))

    def _files(self, folder: str) -> list[str]:
        try:
            entries = self._fs.ls(self._full(folder), detail=True, refresh=True)
        except FileNotFoundError:
            return []
        return [entry["name"].rsplit("/", 1)[-1] for entry in entries if entry["type"] == "file"]

    def irregular(self, folder: str = "") -> dict[str, str]:
        """Return an empty mapping: object stores contain objects only."""
        return {}

    def size(self, name: str) -> int:
        """Size of a file in bytes."""
        return int(self._fs.size(self._full(name)))

    def read(self, name: str) -> bytes:
        """Read a small file, as last written by any process."""
        # `open` may use a size from a cached listing.
        data: bytes = self._fs.cat_file(self._full(name))
        return data

    def open(self, name: str) -> IO[bytes]:
        """Open a file for reading."""
        file: IO[bytes] = self._fs.open(self._full(name), "rb")
        return file

    @contextmanager
    def writing(self, name: str) -> Iterator[IO[bytes]]:
        """Open a binary file that gets its name once the block ends without an error."""
        full = self._full(name)
        self._fs.makedirs(full.rsplit("/", 1)[0], exist_ok=True)
        temporary = _temporary_name(full)
        try:
            with self._fs.open(temporary, "wb") as file:
                yield file
            self._fs.mv(temporary, full)
        except BaseException:
            with suppress(FileNotFoundError):
                self._fs.rm(temporary)
            raise

    def remove(self, name: str) -> None:
        """Remove a file, if it exists."""
        with suppress(FileNotFoundError):
            self._fs.rm(self._full(name))

    def remove_folder(self, folder: str) -> None:
        """Remove a folder with its content, if it exists."""
        with suppress(FileNotFoundError):
            self._fs.rm(self._full(folder), recursive=True)


def _sync_folder(path: Path) -> None:
    """Make the renaming of a file in a folder durable."""
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _joined(folder: str, names: Iterable[str]) -> list[str]:
    return sorted(f"{folder}/{name}" if folder else name for name in names)


def open_storage(root: str | os.PathLike[str]) -> LocalStorage | RemoteStorage:
    """Open a folder by path or `file://` URL, or a prefix by another fsspec URL."""
    text = os.fspath(root)
    if text.startswith("file://"):
        return LocalStorage(text.removeprefix("file://"))
    return RemoteStorage(text) if "://" in text else LocalStorage(text)


def write_bytes(storage: Storage, name: str, data: bytes) -> None:
    """Write a small file."""
    with storage.writing(name) as file:
        file.write(data)


def read_bytes(storage: Storage, name: str) -> bytes:
    """Read a small file."""
    return storage.read(name)


def write_json(storage: Storage, name: str, value: object) -> None:
    """Write a value as a JSON file."""
    write_bytes(storage, name, (json.dumps(value, indent=1) + "\n").encode())


def read_json(storage: Storage, name: str) -> Any:
    """Read a JSON file; ValueError when it is not JSON."""
    return json.loads(read_bytes(storage, name))


def remove_temporaries(storage: Storage, folders: Iterable[str]) -> None:
    """Remove the temporary files of killed writers; only for the holder of the folder's lock."""
    for folder in folders:
        for name in storage.temporaries(folder):
            storage.remove(name)
