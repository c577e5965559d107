"""`download --limit`, and extension of a data set with the command."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path

import pytest

from caco_data.dataset.reader import open_dataset
from caco_data.sampling.location_files import read_locations
from caco_data.sampling.locations import is_sampled
from tests.conftest import Run
from tests.dataset.test_writer import contents
from tests.download.test_run import CACO, command

N = 10


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory, run: Run) -> Path:
    path = tmp_path_factory.mktemp("locations") / "locations.parquet"
    assert run("sample", "--n", N, "--out", path).exit_code == 0
    return path


def test_the_head_of_a_sampled_table_is_the_shorter_table(
    table: Path, run: Run, tmp_path: Path
) -> None:
    run("sample", "--n", 4, "--out", tmp_path / "four.parquet")
    four, head = read_locations(tmp_path / "four.parquet"), read_locations(table).head(4)
    assert head.table.equals(four.table)
    assert head.metadata == four.metadata
    assert is_sampled(head)
    assert len(read_locations(table).head(N + 1)) == N


def test_a_limited_download_goes_on_without_the_limit(
    table: Path, run: Run, tmp_path: Path
) -> None:
    """Rejected locations are replaced: --max-cloud 3 rejects some of the first rows."""

    def download(out: str, *options: str, locations: Path = table) -> None:
        args = command(locations, tmp_path / out, "--max-cloud", "3", *options)[len(CACO) :]
        result = run(*args)
        assert result.exit_code == 0, result.stderr

    run("sample", "--n", 6, "--out", tmp_path / "six.parquet")
    download("limited", "--limit", "6")
    download("six", locations=tmp_path / "six.parquet")
    assert contents(tmp_path / "limited") == contents(tmp_path / "six")
    counts = open_dataset(tmp_path / "limited").meta["counts"]
    assert counts["complete"] == 6
    assert counts["rejected"]
    before = contents(tmp_path / "limited")
    dry = command(table, tmp_path / "limited", "--max-cloud", "3", "--dry-run")[len(CACO) :]
    lines = run(*dry).stdout.splitlines()
    assert contents(tmp_path / "limited") == before
    pending, present = int(lines[0].removeprefix("locations ")), int(lines[-1].split()[0])
    assert pending + present == N
    assert present >= 6
    download("whole")
    process = subprocess.Popen(
        command(table, tmp_path / "limited", "--max-cloud", "3"), stderr=subprocess.DEVNULL
    )
    started = tmp_path / "limited" / ".work"
    while process.poll() is None and not list(started.glob("*.tar")):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    download("limited")
    assert contents(tmp_path / "limited") == contents(tmp_path / "whole")
    refused = run(
        *command(table, tmp_path / "limited", "--max-cloud", "3", "--limit", "6")[len(CACO) :]
    )
    assert refused.exit_code == 2
    assert "number of locations 10 -> 6" in refused.stderr
