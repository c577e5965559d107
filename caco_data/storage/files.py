"""Opening of storages, and small files in them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from typing import Any

from caco_data.storage.base import Storage
from caco_data.storage.local import LocalStorage
from caco_data.storage.objects import ObjectStorage
from caco_data.storage.remote import RemoteStorage, check_url


def open_storage(
    root: str | os.PathLike[str],
) -> LocalStorage | ObjectStorage | RemoteStorage:
    """Open a folder by path or `file://` URL, or a prefix by an `s3://` or another fsspec URL.

    Raises
    ------
    InputError
        When the URL is malformed, the package for its protocol is not installed, or the settings of
        the AWS tools are wrong.
    StorageError
        For a bucket of S3, without credentials.
    """
    text = os.fspath(root)
    if text.startswith("file://"):
        return LocalStorage(text.removeprefix("file://"))
    check_url(text)
    if text.startswith(("s3://", "s3a://")):
        return ObjectStorage(text)
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
