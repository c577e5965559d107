from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from caco_data.download.doctor_checks import PLACE
from caco_data.grid import patch_grid
from tests.conftest import Run
from tests.support.earthengine.faults import FaultPlan
from tests.support.earthengine.server import EarthEngineServer
from tests.support.flat_source import FlatSource
from tests.support.stac_server.server import Response, StacServer


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


def test_a_stac_service(run: Run, tmp_path: Path) -> None:
    with StacServer(patches=[patch_grid(PLACE)]) as server:
        options = ("--source", "stac", "--stac-url", server.url, "--out", tmp_path)
        code, found = states(run, *options)
        result = run("doctor", *options)
        _, without = states(run, *options, "--collection", "none")
    assert code == 0, result.stdout
    names = ["endpoint", "STAC API", "file header", "file block"]
    assert [found[name] for name in names] == ["ok"] * 4
    assert "credentials" not in found
    assert "uint8, 5490 x 5490 pixels of 20 m in blocks of 512" in result.stdout
    assert "; offset of the scene: 0 DN" in result.stdout
    assert [without[name] for name in names] == ["ok", "fail", "warn", "warn"]


def test_a_stac_service_whose_files_are_missing(run: Run) -> None:
    with StacServer(patches=[]) as server:
        server.fault = lambda path, right: Response(b"", 404) if "/files/" in path else right
        _, found = states(run, "--source", "stac", "--stac-url", server.url)
    assert [found[name] for name in ("STAC API", "file header", "file block")] == [
        "ok", "fail", "warn",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--stac-url", "nowhere"), "Neither a service nor an address (--stac-url nowhere)"),
        (("--stac-url", "http://127.0.0.1:9"), "Check the network, the firewall and HTTPS_PROXY"),
        (("--catalog", "none.parquet"), "Unreadable catalogue"),
    ],
)
def test_a_stac_service_that_cannot_be_used(run: Run, options: tuple[str, ...], words: str) -> None:
    result = run("doctor", "--source", "stac", *options)
    assert result.exit_code == 1
    assert words in result.stdout
    assert result.stdout.count("not checked") in (2, 3)
