"""Storage of outcomes in a background thread."""

from __future__ import annotations

import threading
from contextlib import suppress
from queue import Full, Queue

from caco_data.dataset.writer import DatasetWriter
from caco_data.types import Outcome

#: Maximum time after an interrupt to store finished locations, seconds.
STOP_S = 2.0


class BackgroundWriter:
    """Stores outcomes in a thread, so that tasks are submitted while a shard is written.

    Parameters
    ----------
    writer : DatasetWriter
        Writer of the data set.
    max_waiting : int
        Maximum number of outcomes in the queue; `add` blocks while it is full.
    """

    def __init__(self, writer: DatasetWriter, max_waiting: int) -> None:
        self._writer = writer
        self._waiting: Queue[Outcome | None] = Queue(max_waiting)
        self._failure: BaseException | None = None
        # A daemon thread: an interrupt does not wait for a shard. An incomplete file gets no name.
        self._thread = threading.Thread(target=self._work, daemon=True)

    def __enter__(self) -> BackgroundWriter:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        with suppress(Full):
            self._waiting.put(None, timeout=None if kind is None else STOP_S)
        self._thread.join(None if kind is None else STOP_S)
        if kind is None and self._failure:
            raise self._failure

    def add(self, outcome: Outcome) -> None:
        """Queue an outcome; raise the error of an earlier one that could not be stored."""
        if self._failure:
            raise self._failure
        self._waiting.put(outcome)

    def _work(self) -> None:
        while (outcome := self._waiting.get()) is not None:
            try:
                if not self._failure:
                    self._writer.add(outcome)
            except BaseException as error:
                self._failure = error
