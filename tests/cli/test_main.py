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
        ["smaple"],
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


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    base = [sys.executable, "-m", "caco_data.cli"]
    quiet = subprocess.run([*base, "info", str(tmp_path)], capture_output=True, text=True)
    assert quiet.returncode == 2
    assert "Traceback" not in quiet.stderr
    loud = subprocess.run([*base, "--debug", "info", str(tmp_path)], capture_output=True, text=True)
    assert "Traceback" in loud.stderr


def test_settings_file(run: Run, tmp_path: Path) -> None:
    settings = tmp_path / "mine.toml"
    settings.write_text('[info]\ndataset = "/from-the-file"\n')
    assert "/from-the-file" in run("--config", settings, "info").stderr
    assert "/from-the-line" in run("--config", settings, "info", "/from-the-line").stderr


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[smaple]\nn = 1", "smaple"),
        ("[info]\nno-such = 1", "no-such"),
        ("n = 1", "'n'"),
        ("[info", "TOML"),
    ],
)
def test_bad_settings_files_are_named(run: Run, tmp_path: Path, text: str, named: str) -> None:
    settings = tmp_path / "bad.toml"
    settings.write_text(text)
    result = run("--config", settings, "info")
    assert result.exit_code == 2
    assert named in result.stderr
    assert "bad.toml" in result.stderr


def test_missing_settings_file(run: Run) -> None:
    assert run("--config", "/nowhere.toml", "info").exit_code == 2
