"""SIGINT and SIGTERM as a stop flag."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType


@dataclass
class StopFlag:
    """Set once a signal has asked this process to stop."""

    requested: bool = False


@contextmanager
def stop_on_signals() -> Iterator[StopFlag]:
    """Set a stop flag on SIGINT and SIGTERM, so that the current step is completed.

    A second SIGINT interrupts at once. Only the main thread can handle signals: in another thread
    the handlers stay unchanged and the flag is never set.
    """
    flag = StopFlag()
    if threading.current_thread() is not threading.main_thread():
        yield flag
        return

    def request(_number: int, _frame: FrameType | None) -> None:
        flag.requested = True
        signal.signal(signal.SIGINT, signal.default_int_handler)

    before = {number: signal.signal(number, request) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield flag
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
