"""Reading of many files in threads, in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from caco_data.storage import LocalStorage, Storage

Item = TypeVar("Item")
Result = TypeVar("Result")
#: Threads for an object store, where most of the time of a read is waiting.
REMOTE_THREADS = 8


def threads_for(storage: Storage) -> int:
    """Number of threads that read from a storage: none for a local folder.

    Small files are read from a disk twice as fast in the calling thread.
    """
    return 0 if isinstance(storage, LocalStorage) else REMOTE_THREADS


def read_ahead(
    read: Callable[[Item], Result],
    items: Iterable[Item],
    threads: int,
    ahead: int = 2 * REMOTE_THREADS,
) -> Iterator[Result]:
    """Apply a function to items in threads; yield the results in the order of the items.

    Parameters
    ----------
    read : callable
        Reads one item; called in several threads at the same time.
    items : iterable
        Items to read.
    threads : int
        Number of threads, at most `ahead`; 0 to read each item when it is asked for.
    ahead : int
        Maximum number of results that are read before they are used, at least 1; bounds the memory.

    Yields
    ------
    object
        The result of each item.

    Raises
    ------
    Exception
        The first error of `read`, in the order of the items.
    """
    if not threads:
        yield from map(read, items)
        return
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(min(ahead, threads), thread_name_prefix="read-ahead") as pool:
        try:
            for item in items:
                waiting.append(pool.submit(read, item))
                if len(waiting) > ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
