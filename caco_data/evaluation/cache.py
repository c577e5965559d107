"""Results of long computations, kept under a digest of everything that they depend on."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caco_data.storage import LocalStorage, write_bytes

FOLDER = "cache"
Arrays = Mapping[str, NDArray[Any]]


def digest(*parts: object) -> str:
    """SHA-256, hexadecimal, of values that JSON can represent."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


class Cache:
    """Arrays by digest in a folder; a damaged file is computed again.

    Parameters
    ----------
    root : str
        Folder of an evaluation.
    """

    def __init__(self, root: str) -> None:
        self._storage = LocalStorage(root)

    def arrays(self, key: str, compute: Callable[[], Arrays]) -> Arrays:
        """Read arrays, or compute and keep them.

        Parameters
        ----------
        key : str
            Digest of everything that the arrays depend on.
        compute : callable
            Returns the arrays by name.
        """
        name = f"{FOLDER}/{key}.npz"
        if self._storage.exists(name):
            try:
                with np.load(io.BytesIO(self._storage.read(name)), allow_pickle=False) as file:
                    return {one: file[one] for one in file.files}
            except (ValueError, OSError, KeyError, EOFError, zipfile.BadZipFile):
                self._storage.remove(name)
        found = compute()
        buffer = io.BytesIO()
        np.savez(buffer, allow_pickle=False, **found)
        write_bytes(self._storage, name, buffer.getvalue())
        return found
