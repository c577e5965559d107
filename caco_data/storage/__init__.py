"""Storage of a data set: a local folder, a bucket (`s3://`) or another fsspec URL (`gs://`).

Files are written atomically: under a temporary name, flushed to the disk, then renamed. Temporary
names are unique, so that two writers never share a file. Names are relative to the root, with
forward slashes.

No name leads out of the root: absolute names and `..` are refused, and so are links below the root.
Only regular files are opened. The root itself may be a link.
"""

from caco_data.storage.base import LOCK, RemoteFolder, Storage
from caco_data.storage.files import (
    open_storage,
    read_bytes,
    read_json,
    remove_temporaries,
    write_bytes,
    write_json,
)
from caco_data.storage.local import LocalStorage
from caco_data.storage.objects import ObjectStorage
from caco_data.storage.ranges import reading_ranges
from caco_data.storage.remote import RemoteStorage, check_url

__all__ = [
    "LOCK",
    "LocalStorage",
    "ObjectStorage",
    "RemoteFolder",
    "RemoteStorage",
    "Storage",
    "check_url",
    "open_storage",
    "read_bytes",
    "read_json",
    "reading_ranges",
    "remove_temporaries",
    "write_bytes",
    "write_json",
]
