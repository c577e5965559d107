from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Run
from tests.support.earthengine.faults import FaultPlan
from tests.support.earthengine.server import EarthEngineServer
from tests.support.flat_source import FlatSource


@pytest.fixture(autouse=True)
def no_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home folder and an environment without any credentials."""
    for name in ("HOME", "CLOUDSDK_CONFIG"):
        monkeypatch.setenv(name, str(tmp_path))
    for name in ("GOOGLE_APPLICATION_CREDENTIALS", "EARTHENGINE_PROJECT", "GOOGLE_CLOUD_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_GCE_CHECK", "true")


def states(run: Run, *options: object) -> tuple[int, dict[str, str]]:
    result = run("doctor", "--json", *options)
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert all(line["remedy"] for line in lines if line["state"] == "fail")
    return result.exit_code, {line["name"]: line["state"] for line in lines}


def test_all_checks_pass_with_a_service_that_answers(run: Run, tmp_path: Path) -> None:
    with EarthEngineServer(FlatSource()) as server:
        code, found = states(run, "--ee-url", server.url, "--out", tmp_path / "new" / "set")
        result = run("doctor", "--ee-url", server.url, "--out", tmp_path)
    assert set(found.values()) <= {"ok", "warn"}, found
    assert found["Earth Engine"] == "ok"
    assert code == 0
    assert "6 x 6 pixels" in result.stdout
    assert "B2 uint16, SCL uint8" in result.stdout
    assert "\x1b" not in result.stdout  # no colours outside a terminal


def test_missing_credentials(run: Run) -> None:
    result = run("doctor", "--ee-url", "https://none.googleapis.com:1")
    assert result.exit_code == 1
    assert "Run 'earthengine authenticate'" in result.stdout
    assert "not checked" in result.stdout
    assert result.stderr.startswith("error: 2 checks failed (credentials, endpoint)")


def test_a_refusal_shows_the_services_message(run: Run) -> None:
    plan = FaultPlan(denied_projects=("theirs",))
    with EarthEngineServer(FlatSource(), plan) as server:
        result = run("doctor", "--ee-url", server.url, "--project", "theirs")
    assert result.exit_code == 1
    assert "permission to use project theirs" in result.stdout


def test_an_output_that_cannot_be_written(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    _, found = states(run, "--ee-url", "http://127.0.0.1:9", "--out", file)
    assert found["output"] == "fail"
    assert found["endpoint"] == "fail"
    assert found["Earth Engine"] == "warn"


def test_a_missing_package_is_named(tmp_path: Path) -> None:
    code = (
        "import importlib.metadata as m\n"
        "real = m.version\n"
        "def version(name):\n"
        "    if name == 'dask': raise m.PackageNotFoundError(name)\n"
        "    return '0.1' if name == 'click' else real(name)\n"
        "m.version = version\n"
        "from caco_data.download.doctor import _packages\n"
        "print(_packages().found)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ
    )
    assert "click 0.1 is not >=" in done.stdout
    assert "dask is missing" in done.stdout
