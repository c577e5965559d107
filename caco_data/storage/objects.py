"""A bucket of Amazon S3 or a compatible service, through obstore."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from typing import IO, Any

from caco_data.errors import InputError, StorageError
from caco_data.safe_paths import check_name
from caco_data.storage.base import RemoteFolder, Storage
from caco_data.storage.failures import failure, no_bucket

#: Bytes of a part of an upload, and of one request while a file is read in order.
_BLOCK = 8 << 20


class ObjectStorage(RemoteFolder):
    """A prefix of a bucket. An object appears when it is complete.

    Failures of the service and of the connection are StorageError.

    Parameters
    ----------
    url : str
        ``s3://BUCKET/FOLDER``.

    Raises
    ------
    InputError
        When the packages of the extra are not installed, or the AWS settings are wrong.
    StorageError
        Without credentials.
    """

    def __init__(self, url: str) -> None:
        self.root = url.rstrip("/")
        bucket, _, self._prefix = self.root.split("://")[1].partition("/")
        self._store = _bucket(bucket)

    def _key(self, name: str) -> str:
        key = f"{self._prefix}/{check_name(name)}" if name else self._prefix
        return key.strip("/")

    def exists(self, name: str) -> bool:
        """Whether a complete file of this name exists."""
        try:
            self.size(name)
        except FileNotFoundError:
            return False
        return True

    def entries(self, folder: str) -> dict[str, int]:
        """Sizes of the files directly in a folder, by their last name."""
        with _failures_reported(self.where(folder)):
            found = self._store.list_with_delimiter(self._key(folder) or None)["objects"]
        entries = {o["path"].rsplit("/", 1)[-1]: int(o["size"]) for o in found}
        return {name: size for name, size in entries.items() if name}  # "" marks an empty folder

    def size(self, name: str) -> int:
        """Size of a file in bytes."""
        with _failures_reported(self.where(name)):
            return int(self._store.head(self._key(name))["size"])

    def read(self, name: str) -> bytes:
        """Read a file, with one request."""
        with _failures_reported(self.where(name)):
            return bytes(self._store.get(self._key(name)).bytes())

    def read_range(self, name: str, offset: int, nbytes: int) -> bytes:
        """Read some bytes of a file, with one request; `offset` is within the file."""
        with _failures_reported(self.where(name)):
            return bytes(self._store.get_range(self._key(name), start=offset, length=nbytes))

    def open(self, name: str) -> IO[bytes]:
        """Open a file for reading."""
        return io.BufferedReader(_Object(self, name, self.size(name)), _BLOCK)

    @contextmanager
    def writing(self, name: str) -> Iterator[IO[bytes]]:
        """Open a binary file that gets its name once the block ends without an error.

        After an error, no part of it remains in the store.
        """
        import obstore

        key = self._key(name)
        with (
            _failures_reported(self.where(name)),
            obstore.open_writer(self._store, key, buffer_size=_BLOCK) as upload,
        ):
            yield _Upload(upload)  # type: ignore[misc]

    def copy(self, source: Storage, name: str, new: str) -> bool:
        """Copy a file of the same bucket without transferring it; False for another storage."""
        if not (isinstance(source, ObjectStorage) and source._store is self._store):
            return False
        with _failures_reported(self.where(new)):
            self._store.copy(source._key(name), self._key(new))
        return True

    def remove(self, name: str) -> None:
        """Remove a file, if it exists."""
        with suppress(FileNotFoundError), _failures_reported(self.where(name)):
            self._store.delete(self._key(name))

    def remove_folder(self, folder: str) -> None:
        """Remove a folder with its content, if it exists."""
        with _failures_reported(self.where(folder)):
            for found in self._store.list(self._key(folder) or None):
                self._store.delete([o["path"] for o in found])


class _Object(io.RawIOBase):
    """An object that is read in ranges."""

    def __init__(self, storage: ObjectStorage, name: str, size: int) -> None:
        self._storage, self._name, self._size, self._position = storage, name, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(start + offset, 0)
        return self._position

    def readinto(self, buffer: Any) -> int:
        nbytes = min(len(buffer), self._size - self._position)
        if nbytes <= 0:
            return 0
        buffer[:nbytes] = self._storage.read_range(self._name, self._position, nbytes)
        self._position += nbytes
        return nbytes

    def readall(self) -> bytes:
        data = bytearray(max(self._size - self._position, 0))
        self.readinto(data)
        return bytes(data)


class _Upload(io.RawIOBase):
    """An object that is being uploaded."""

    def __init__(self, upload: Any) -> None:
        self._upload, self._position = upload, 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        self._upload.write(view)
        self._position += len(view)
        return len(view)


@cache
def _bucket(name: str) -> Any:
    """A client for a bucket, with the endpoint, region and credentials of the AWS tools.

    Retries are those of the AWS tools too.
    """
    try:
        import boto3
        from botocore.exceptions import BotoCoreError
        from obstore.auth.boto3 import Boto3CredentialProvider
        from obstore.store import S3Store
    except ImportError as error:
        raise InputError(
            "A package for s3:// is not installed", f"s3://{name}",
            "Run: pip install 'caco-data[s3]'",
        ) from error  # fmt: skip
    where = f"s3://{name}"
    try:
        session = boto3.Session()
        region = session.region_name or "us-east-1"
        settings = session.client("s3", region_name=region).meta
        if session.get_credentials() is None:
            raise StorageError(
                "No access: Unable to locate credentials", where,
                "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE",
            )  # fmt: skip
        attempts = settings.config.retries.get("total_max_attempts", 5)
        return S3Store(
            name,
            endpoint=settings.endpoint_url,
            region=region,
            credential_provider=Boto3CredentialProvider(session),
            client_options={
                "allow_http": settings.endpoint_url.startswith("http://"),
                "timeout": "10m",  # of a whole request; 30 s would stop parts on slow connections
            },
            retry_config={"max_retries": attempts - 1},
        )
    except (ValueError, BotoCoreError) as error:
        raise InputError(
            f"Cannot open this bucket: {error}", where, "Correct the settings of the AWS tools"
        ) from error


@contextmanager
def _failures_reported(where: str) -> Iterator[None]:
    """Raise StorageError in place of exceptions of obstore and botocore.

    FileNotFoundError remains as it is, except for a bucket that does not exist.
    """
    try:
        yield
    except Exception as error:
        module = type(error).__module__.split(".")[0]
        if module not in {"obstore", "botocore", "builtins"}:
            raise
        text = str(error)
        if "<Code>NoSuchBucket</Code>" in text:
            raise no_bucket(where) from None
        if module == "builtins" and "Error performing" not in text:
            raise  # not of the store
        if isinstance(error, FileNotFoundError):
            raise FileNotFoundError(f"No such object: {where}") from None
        raise failure(_kind(error), _short(text), where) from None


def _kind(error: Exception) -> str:
    """Name of the kind of a failure: obstore has the same exception for most of them."""
    status = re.search(r"non-2xx status code: (\d+)", str(error))
    if status:
        return "Permission" if status[1] in {"401", "403"} else "Status"
    sent = "Error performing" in str(error)
    return "Connection" if sent else type(error).__name__


def _short(text: str) -> str:
    """The service's code and message, or why there is none, without other parts of the request."""
    code, message = (re.search(f"<{t}>([^<]*)</{t}>", text) for t in ("Code", "Message"))
    if code:
        return f"{code[1]}: {message[1]}" if message else code[1]
    reason = text.split("\n\nDebug source")[0].rsplit(" - ", 1)[-1]
    if reason.startswith("Server returned"):
        return reason.removeprefix("Server returned non-2xx status code: ").strip(": \n")
    endpoint = re.search(r"Error performing \w+ (\w+://[^/ ]+)", text)
    cause = re.search(r'message: "([^"]+)"', text)
    reason = cause[1] if cause else reason
    return f"{endpoint[1]}: {reason}" if endpoint else reason
