"""Reading of many files in threads, in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from caco_data.storage import LocalStorage, Storage

Item = TypeVar("Item")
Result = TypeVar("Result")
#: Threads for a local folder, where more only compete for the processor, and for an object store,
#: where most of the time of a read is waiting.
LOCAL_THREADS, REMOTE_THREADS = 2, 8


def threads_for(storage: Storage) -> int:
    """Number of threads that read from a storage."""
    return LOCAL_THREADS if isinstance(storage, LocalStorage) else REMOTE_THREADS


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
        Number of threads, at most `ahead`.
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
