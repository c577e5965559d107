"""Reading of some bytes of a file, by several threads at once."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from caco_data.safe_paths import open_regular
from caco_data.storage.files import open_storage
from caco_data.storage.local import LocalStorage


@contextmanager
def reading_ranges(path: str) -> Iterator[Callable[[int, int], bytes]]:
    """Open a file by path or URL.

    Yields
    ------
    callable
        Reads some bytes: their number, and the offset of the first. There are fewer at the end of
        the file. Each call is one request to an object store.
    """
    folder, _, name = path.rpartition("/")
    storage = open_storage(folder)
    if isinstance(storage, LocalStorage):
        descriptor = open_regular(storage.path(name), os.O_RDONLY)
        try:
            yield lambda nbytes, offset: os.pread(descriptor, nbytes, offset)
        finally:
            os.close(descriptor)
    else:
        yield lambda nbytes, offset: storage.read_range(name, offset, nbytes)
