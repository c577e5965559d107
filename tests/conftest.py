"""Settings and fixtures of all tests."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from importlib.metadata import entry_points

import click
import hypothesis
import pytest
from click.testing import CliRunner, Result

# Read when numpy and torch are first imported. Tests run in one process per core; with more threads
# than cores, processes wait for each other for seconds.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# google-auth asks this address, where nothing listens, not the metadata server of a cloud machine.
os.environ["GCE_METADATA_IP"] = os.environ["GCE_METADATA_HOST"] = "127.0.0.1:9"
# A shell starts background jobs with SIGINT ignored; processes of the tests would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

hypothesis.settings.register_profile("fixed", derandomize=True, deadline=None, database=None)
hypothesis.settings.load_profile("fixed")

Run = Callable[..., Result]


@pytest.fixture(scope="session")
def run() -> Run:
    """Run the installed `caco-data` in this process: `run("sample", "--n", "10")`."""
    (script,) = entry_points(group="console_scripts", name="caco-data")
    group: click.Group = script.load()

    def invoke(*args: object) -> Result:
        return CliRunner().invoke(group, [str(arg) for arg in args])

    return invoke
