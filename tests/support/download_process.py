"""A download from the Earth Engine test server in another process."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def started(url: str, table: Path, out: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    """Start a download in another process and wait for its first complete location."""
    command = [
        sys.executable, "-m", "caco_data.cli", "download", "--ee-url", url, "--locations", table,
        "--out", out, "--workers", "1", "--concurrency", "2", "--requests-per-second", "40",
        "--locations-per-shard", "4", *options,
    ]  # fmt: skip
    with subprocess.Popen(list(map(str, command)), stderr=subprocess.PIPE, text=True) as process:
        try:
            while not list(out.rglob("*.tar")):
                assert process.poll() is None, process.communicate()
                time.sleep(0.02)
            yield process
        finally:
            process.kill()
