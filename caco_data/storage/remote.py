"""Google Cloud Storage or another remote file system, through fsspec."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any

from caco_data.errors import InputError
from caco_data.safe_paths import check_name
from caco_data.storage.base import RemoteFolder, Storage, temporary_name
from caco_data.storage.failures import failure, no_bucket

#: Extra that contains the package for a protocol.
_EXTRAS = {"gs": "gs", "gcs": "gs"}
#: Packages whose exceptions are failures of the service or of the connection to it.
_PACKAGES = {"aiohttp", "fsspec", "gcsfs", "google"}


def check_url(url: str) -> None:
    """Check the form of a URL.

    Raises
    ------
    InputError
        For an object store without a bucket.
    """
    found = re.match(r"(s3a?|gs|gcs):/*([^/]*)", url)
    if found and not (found[2] and url.startswith(f"{found[1]}://{found[2]}")):
        raise InputError("No bucket in this URL", url, f"Use {found[1]}://BUCKET/FOLDER")


@contextmanager
def failures_reported(where: str) -> Iterator[None]:
    """Raise StorageError in place of the exceptions of a remote file system.

    FileNotFoundError remains as it is, except for a bucket that does not exist.
    """
    try:
        yield
    except FileNotFoundError as error:
        if "specified bucket does not exist" in str(error):
            raise no_bucket(where) from None
        raise
    except Exception as error:
        package = type(error).__module__.split(".")[0]
        if not isinstance(error, OSError) and package not in _PACKAGES:
            raise
        text = " ".join(str(getattr(error, "strerror", None) or error).split())
        kind = type(error).__name__
        if isinstance(error, ConnectionError | TimeoutError):
            kind = "ConnectionError"
        raise failure(kind, text or kind, where) from None


def open_file_system(url: str) -> tuple[Any, str]:
    """File system of a URL, and the path in it; InputError when this is impossible."""
    import fsspec

    check_url(url)
    protocol = url.split("://")[0]
    # Another process may write to the same folder: a listing is not kept.
    options = {"use_listings_cache": False} if protocol in _EXTRAS else {}
    try:
        fs, path = fsspec.core.url_to_fs(url, **options)
    except ImportError as error:
        extra = _EXTRAS.get(protocol)
        remedy = f"Run: pip install 'caco-data[{extra}]'" if extra else ""
        what = f"A package for {protocol}:// is not installed" if extra else str(error)
        raise InputError(what, url, remedy) from error
    except ValueError as error:
        raise InputError(f"Cannot open this storage: {error}", url) from error
    return fs, path


class RemoteStorage(RemoteFolder):
    """A prefix of an fsspec file system; object stores list complete objects only.

    Failures of the service and of the connection are StorageError.
    """

    def __init__(self, url: str) -> None:
        self.root = url.rstrip("/") if url.rstrip("/").find("://") > 0 else url
        self._fs, self._prefix = open_file_system(self.root)
        # An object appears when it is complete. Other file systems need a temporary name.
        self._atomic = self.root.split("://")[0] in _EXTRAS

    def _full(self, name: str) -> str:
        return f"{self._prefix}/{check_name(name)}" if name else self._prefix

    def exists(self, name: str) -> bool:
        """Whether a complete file of this name exists."""
        with failures_reported(self.where(name)):
            return bool(self._fs.isfile(self._full(name)))

    def entries(self, folder: str) -> dict[str, int]:
        """Sizes of the files directly in a folder, by their last name."""
        try:
            with failures_reported(self.where(folder)):
                entries = self._fs.ls(self._full(folder), detail=True, refresh=True)
        except FileNotFoundError:
            return {}
        files = [e for e in entries if e["type"] == "file"]
        found = {e["name"].rsplit("/", 1)[-1]: int(e["size"] or 0) for e in files}
        return {name: size for name, size in found.items() if name}  # "" marks an empty folder

    def size(self, name: str) -> int:
        """Size of a file in bytes."""
        with failures_reported(self.where(name)):
            return int(self._fs.size(self._full(name)))

    def read(self, name: str) -> bytes:
        """Read a small file, as last written by any process."""
        # `open` may use a size from a cached listing.
        with failures_reported(self.where(name)):
            data: bytes = self._fs.cat_file(self._full(name))
        return data

    def read_range(self, name: str, offset: int, nbytes: int) -> bytes:
        """Read some bytes of a file, with one request."""
        with failures_reported(self.where(name)):
            data: bytes = self._fs.cat_file(self._full(name), start=offset, end=offset + nbytes)
        return data

    def open(self, name: str) -> IO[bytes]:
        """Open a file for reading."""
        with failures_reported(self.where(name)):
            file = self._fs.open(self._full(name), "rb")
        return io.BufferedReader(file)  # files of fsspec lack `readline` with a size

    @contextmanager
    def writing(self, name: str) -> Iterator[IO[bytes]]:
        """Open a binary file that gets its name once the block ends without an error."""
        full = self._full(name)
        with failures_reported(self.where(name)):
            if self._atomic:
                with self._uploading(full) as file:
                    yield file
                return
            self._fs.makedirs(full.rsplit("/", 1)[0], exist_ok=True)
            temporary = temporary_name(full)
            try:
                with self._fs.open(temporary, "wb") as file:
                    yield file
                self._fs.mv(temporary, full)
            except BaseException:
                with suppress(FileNotFoundError):
                    self._fs.rm(temporary)
                raise

    @contextmanager
    def _uploading(self, full: str) -> Iterator[IO[bytes]]:
        """Upload an object; after an error, no part of it remains in the store."""
        file = self._fs.open(full, "wb")
        try:
            yield file
            try:
                file.close()
            except FileNotFoundError:  # of gcsfs; an upload needs nothing else
                raise no_bucket(full) from None
        except BaseException:
            # `discard` fails where the store does: only the owner of the bucket sees the parts.
            with suppress(Exception):
                file.discard()
            file.closed = True  # or it would be completed when it is garbage-collected
            raise

    def copy(self, source: Storage, name: str, new: str) -> bool:
        """Copy a file of the same service without transferring it; False for another storage."""
        if not (isinstance(source, RemoteStorage) and source._fs is self._fs and self._atomic):
            return False
        with failures_reported(self.where(new)):
            self._fs.copy(source._full(name), self._full(new))
        return True

    def remove(self, name: str) -> None:
        """Remove a file, if it exists."""
        with suppress(FileNotFoundError), failures_reported(self.where(name)):
            self._fs.rm(self._full(name))

    def remove_folder(self, folder: str) -> None:
        """Remove a folder with its content, if it exists."""
        with suppress(FileNotFoundError), failures_reported(self.where(folder)):
            self._fs.rm(self._full(folder), recursive=True)
