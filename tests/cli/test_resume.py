"""The command reports its progress while it reads the files of earlier runs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from caco_data.dataset.reader import open_dataset
from tests.support.large_dataset import write_unfinished

N = 270
#: Rejected locations.
REJECTED = 14


def resume(folder: Path, *options: str) -> str:
    """Run the command to its end; return its standard error."""
    command = [
        sys.executable, "-m", "caco_data.cli", *options, "download", "--source", "simulated",
        "--locations", folder / "locations.parquet", "--out", folder / "dataset",
        "--min-complete", "0.9", "--no-fill",
    ]  # fmt: skip
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stderr


def test_lines_are_printed_when_reading_and_joining_begin(tmp_path: Path) -> None:
    write_unfinished(tmp_path, N, 10)
    first, second, *_ = resume(tmp_path).splitlines()
    assert first == "resuming: 0 of 3 files read"  # two shards and one rejection
    assert second == "finishing: 0 of 3 shards joined"
    meta = json.loads((tmp_path / "dataset" / "dataset.json").read_text())
    assert meta["counts"]["complete"] == N - REJECTED
    assert open_dataset(tmp_path / "dataset").index.num_rows == 10 * (N - REJECTED)
    assert "resuming" not in resume(tmp_path)  # finished


def test_quiet_resuming_prints_no_line(tmp_path: Path) -> None:
    write_unfinished(tmp_path, N, 10)
    assert "files read" not in resume(tmp_path, "--quiet")
