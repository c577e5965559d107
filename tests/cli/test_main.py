from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from caco_data import __version__
from tests.conftest import Run


def test_version_and_help(run: Run) -> None:
    assert run("--version").stdout == f"caco-data, version {__version__}\n"
    text = run("--help").stdout
    for command in ("sample", "download", "train", "verify", "info", "report"):
        assert re.search(rf"^  {command} ", text, re.MULTILINE)


@pytest.mark.parametrize(
    "args",
    [
        ["sampler"],
        ["--no-such-option"],
        ["download", "--source", "moon"],
        ["download", "--source", "simulated", "--bands", "B10"],
        ["download", "--source", "simulated", "--bands", "B4,B4"],
        ["download", "--source", "simulated", "--start", "2019-13-01"],
        ["download", "--source", "simulated", "--start", "2020-01-01..2019-01-01"],
        ["download", "--source", "simulated", "--concurrency", "0"],
        ["download", "--source", "simulated", "--min-clear", "1.5"],
        ["download"],
        ["info", "/nowhere"],
        ["verify", "/nowhere"],
        ["report", "/nowhere"],
        ["report", "--out", "a.bmp"],
        ["train", "--data", "/nowhere", "--device", "cpu"],
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(run: Run, args: list[str]) -> None:
    result = run(*args)
    assert result.exit_code == 2
    assert re.fullmatch(r"error: .*\.\n", result.stderr), result.stderr


def test_python_m_caco_data_is_the_command_line() -> None:
    command = [sys.executable, "-m", "caco_data"]
    done = subprocess.run([*command, "--version"], capture_output=True, text=True)
    assert done.stdout == f"caco-data, version {__version__}\n"
    wrong = subprocess.run([*command, "sampler"], capture_output=True, text=True)
    assert wrong.returncode == 2
    assert re.fullmatch(r"error: No such command 'sampler'.*\n", wrong.stderr)


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    base = [sys.executable, "-m", "caco_data.cli"]
    quiet = subprocess.run([*base, "info", str(tmp_path)], capture_output=True, text=True)
    assert quiet.returncode == 2
    assert "Traceback" not in quiet.stderr
    loud = subprocess.run([*base, "--debug", "info", str(tmp_path)], capture_output=True, text=True)
    assert "Traceback" in loud.stderr
