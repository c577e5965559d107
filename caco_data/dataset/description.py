"""Description of a data set: dataset.json."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from caco_data.dataset.layout import DESCRIPTION, FORMAT
from caco_data.errors import DatasetError, InputError
from caco_data.storage import Storage, read_json


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
        When it is damaged or has another format.
    """
    where = f"{storage.root}/{DESCRIPTION}"
    try:
        meta = read_json(storage, DESCRIPTION)
    except FileNotFoundError as error:
        raise InputError(
            "No data set here", str(storage.root), "Make one with 'caco-data download'"
        ) from error
    except ValueError as error:
        raise DatasetError(f"Unreadable description: {error}", where) from error
    if not isinstance(meta, dict) or meta.get("format") != FORMAT:
        raise DatasetError(f"Not a data set of format {FORMAT}", where)
    if meta.get("complete") and meta.get("sha256") != description_digest(meta):
        raise DatasetError("The description has changed since it was written", where)
    return meta
