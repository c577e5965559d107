"""Resuming: progress while files of earlier runs are read; what a failed run leaves."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path

from caco_data.dataset.reader import open_dataset
from caco_data.sampling.location_files import write_locations
from caco_data.sampling.locations import sample_locations
from caco_data.sampling.settings import SampleSettings
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
    assert first == "resuming: reading 3 files"  # two shards and one rejection
    assert second == "finishing: joining 3 shards"
    meta = json.loads((tmp_path / "dataset" / "dataset.json").read_text())
    assert meta["counts"]["complete"] == N - REJECTED
    assert open_dataset(tmp_path / "dataset").index.num_rows == 10 * (N - REJECTED)
    assert "resuming" not in resume(tmp_path)  # finished


def test_quiet_resuming_prints_no_line(tmp_path: Path) -> None:
    write_unfinished(tmp_path, N, 10)
    assert "files" not in resume(tmp_path, "--quiet")


def test_a_shard_that_cannot_be_written_is_named_and_its_locations_are_kept(tmp_path: Path) -> None:
    table, out = tmp_path / "locations.parquet", tmp_path / "set"
    write_locations(sample_locations(SampleSettings(), 2), table)
    command = [
        sys.executable, "-m", "caco_data.cli", "download", "--source", "simulated", "--no-fill",
        "--locations", str(table), "--out", str(out), "--workers", "1", "--min-clear", "0",
        "--max-cloud", "100",
    ]  # fmt: skip

    def limit() -> None:  # to files that are larger than one location and smaller than two
        resource.setrlimit(resource.RLIMIT_FSIZE, (6_000_000, 6_000_000))

    failed = subprocess.run(command, capture_output=True, text=True, preexec_fn=limit)
    assert failed.returncode == 2, failed.stderr
    [line] = [line for line in failed.stderr.splitlines() if line.startswith("error:")]
    assert "File too large" in line
    assert "shards/000000.tar" in line
    assert "run the same command again" in line
    assert len(list(out.glob(".work/?????????.tar"))) == 2
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "2 locations complete" in done.stderr
    assert "nothing was left to do" in done.stderr
