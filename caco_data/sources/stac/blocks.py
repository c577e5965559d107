"""Cache in memory: every value is loaded once, although many threads need it."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class SharedCache(Generic[K, V]):
    """Values by key, least recently used ones removed; each is loaded by one thread at a time.

    Parameters
    ----------
    size_of : callable
        Size of a value, bytes.
    max_nbytes : int
        Maximum size of all values, bytes.
    """

    def __init__(self, size_of: Callable[[V], int], max_nbytes: int) -> None:
        self._size_of = size_of
        self._max_nbytes = max_nbytes
        self._nbytes = 0
        self._lock = threading.Lock()
        self._values: OrderedDict[K, V] = OrderedDict()
        self._loading: dict[K, Future[V]] = {}

    def get(self, keys: Sequence[K], load: Callable[[list[K]], dict[K, V]]) -> dict[K, V]:
        """Return the values of keys.

        Parameters
        ----------
        keys : sequence
            The keys.
        load : callable
            Loads the values of those keys that are neither present nor being loaded.

        Raises
        ------
        Exception
            Any error of `load`, also when it was called by another thread; nothing is kept then.
        """
        found: dict[K, V] = {}
        waiting: dict[K, Future[V]] = {}
        own: dict[K, Future[V]] = {}
        with self._lock:
            for key in keys:
                if key in self._values:
                    self._values.move_to_end(key)
                    found[key] = self._values[key]
                elif key in self._loading:
                    waiting[key] = self._loading[key]
                else:
                    own[key] = self._loading[key] = Future()
        if own:
            found |= self._load(own, load)
        return found | {key: future.result() for key, future in waiting.items()}

    def _load(self, own: dict[K, Future[V]], load: Callable[[list[K]], dict[K, V]]) -> dict[K, V]:
        try:
            loaded = load(list(own))
        except BaseException as error:
            with self._lock:
                for key in own:
                    del self._loading[key]
            for future in own.values():
                future.set_exception(error)
            raise
        with self._lock:
            for key in own:
                del self._loading[key]
                self._values[key] = loaded[key]
                self._nbytes += self._size_of(loaded[key])
            while self._nbytes > self._max_nbytes:
                self._nbytes -= self._size_of(self._values.popitem(last=False)[1])
        for key, future in own.items():
            future.set_result(loaded[key])
        return loaded
