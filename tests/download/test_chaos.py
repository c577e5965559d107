"""A download disturbed in every way that a short test allows; benchmarks/chaos.py runs longer."""

from __future__ import annotations

import random
import resource
from importlib.util import find_spec
from pathlib import Path

from tests.conftest import Run
from tests.support.chaos.disturbances import DISTURBANCES
from tests.support.chaos.processes import Server
from tests.support.chaos.rounds import Report, Round

N = 28
#: After those that end the client, a new one is started.
KINDS = (
    "worker killed", "some faults", "second download", "client killed", "worker paused",
    "server restarted", "client interrupted", "disk full",
)  # fmt: skip


def test_a_disturbed_download_equals_an_undisturbed_one(run: Run, tmp_path: Path) -> None:
    table = tmp_path / "locations.parquet"
    assert run("sample", "--n", N, "--out", table).exit_code == 0
    missing = set() if find_spec("caco_data.folder_lock") else {"second download"}
    missing |= set() if hasattr(resource, "prlimit") else {"disk full"}  # Linux only
    kinds = [kind for kind in KINDS if kind not in missing]
    report = Report()
    server = Server("--source", "flat", "--latency-ms", "20")
    try:
        whole = Round(server, table, tmp_path / "whole", random.Random(0), Report())
        whole.end()
        Round(server, table, tmp_path / "chaos", random.Random(0), report).play(kinds, whole.out)
    finally:
        server.stop()
    assert report.finished == 1
    assert set(report.disturbances) <= set(DISTURBANCES)
    assert report.disturbances["worker killed"] == report.disturbances["client killed"] == 1
