"""Description of a data set: dataset.json."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from caco_data.dataset.description_check import check_description
from caco_data.dataset.layout import DESCRIPTION, FORMAT
from caco_data.errors import DatasetError, InputError
from caco_data.storage import Storage, read_bytes

#: Maximum size of dataset.json, bytes: about 450,000 shards.
MAX_NBYTES = 1 << 26
#: Maximum number of values, plus one per `_BYTES_PER_VALUE` bytes: small values take much memory.
_VALUES, _BYTES_PER_VALUE = 10_000, 16


_REMEDY = "Restore it from a copy, or download the data set again into another folder"


def description_digest(meta: dict[str, Any]) -> str:
    """SHA-256, hexadecimal, of the content of dataset.json without the digest itself."""
    rest = {key: value for key, value in meta.items() if key != "sha256"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def read_description(storage: Storage) -> dict[str, Any]:
    """Read dataset.json.

    Raises
    ------
    InputError
        When there is none.
    DatasetError
        When it is damaged, has another format, or has values that the format does not permit.
    """
    where = f"{storage.root}/{DESCRIPTION}"
    try:
        meta = _parse(_read(storage))
    except FileNotFoundError as error:
        raise InputError(
            "No data set here", str(storage.root), "Make one with 'caco-data download'"
        ) from error
    except ValueError as error:
        raise DatasetError(f"Unreadable description: {error}", where, _REMEDY) from error
    if not isinstance(meta, dict) or meta.get("format") != FORMAT:
        raise DatasetError(f"Not a data set of format {FORMAT}", where, _REMEDY)
    if meta.get("complete") and meta.get("sha256") != description_digest(meta):
        raise DatasetError("The description has changed since it was written", where, _REMEDY)
    try:
        check_description(meta)
    except ValueError as error:
        raise DatasetError(f"Invalid description: {error}", where, _REMEDY) from error
    return meta


def _read(storage: Storage) -> bytes:
    """Read the file; ValueError if it is too large."""
    if storage.size(DESCRIPTION) > MAX_NBYTES:
        raise ValueError(f"more than {MAX_NBYTES >> 20} MiB")
    return read_bytes(storage, DESCRIPTION)


def _parse(data: bytes) -> Any:
    """Parse JSON of limited depth and number of values; ValueError for any other text."""
    if sum(map(data.count, b",[{")) > _VALUES + len(data) // _BYTES_PER_VALUE:
        raise ValueError("too many values for its size")
    try:
        return json.loads(data)
    except RecursionError as error:
        raise ValueError("values are nested too deeply") from error
