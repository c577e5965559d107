"""A process that holds the lock of a folder."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

#: Locks a folder, starts a process and forks another if asked, and prints a line; all continue
#: until they are killed or stdin is closed.
PROGRAM = """
import os, subprocess, sys
from caco_data.folder_lock import folder_lock
from caco_data.storage import open_storage
WAIT = "import sys; sys.stdin.read()"
with folder_lock(open_storage(sys.argv[1]), "caco-data download"):
    if len(sys.argv) > 2:
        subprocess.Popen([sys.executable, "-c", WAIT], stdout=subprocess.DEVNULL, close_fds=False)
        if os.fork():
            exec(WAIT)
    print("locked", flush=True)
    exec(WAIT)
"""


@contextmanager
def holding_process(folder: Path | str, *more: str) -> Iterator[subprocess.Popen[str]]:
    """Run another process that holds the lock of a folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(folder), *more],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "locked\n"
        yield process
        process.kill()
