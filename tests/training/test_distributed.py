from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from lightning.fabric import Fabric
from safetensors.torch import load_file

from tests.support import train_in_parts
from tests.support.train_in_parts import CASES, Double, Outcome
from tests.support.training_data import make_training_set

torch.set_num_threads(1)

#: Two batches an epoch.
LOCATIONS = 16


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_training_set(tmp_path_factory.mktemp("data") / "set", LOCATIONS)


@pytest.fixture(scope="module")
def by_two(data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcome]:
    """What two processes make of all cases."""
    out = tmp_path_factory.mktemp("two") / "out.json"
    command = [sys.executable, "-m", train_in_parts.__name__, str(data), "2", str(out)]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    outcomes: dict[str, Outcome] = json.loads(out.read_text())
    return outcomes


@pytest.mark.parametrize("case", CASES)
def test_two_processes_learn_what_one_does(
    data: Path, by_two: dict[str, Outcome], case: str
) -> None:
    """BatchNorm over everybody's rows, keys, ratios and gradients gathered: all steps agree."""
    fabric = Fabric(accelerator="cpu", devices=1, plugins=Double())
    alone = train_in_parts.learn(fabric, str(data), CASES[case])
    two = by_two[case]
    assert len(alone["losses"]) == 4
    np.testing.assert_allclose(two["losses"], alone["losses"], rtol=1e-10)
    np.testing.assert_allclose(two["distances"], alone["distances"], rtol=1e-6)
    assert len(two["distances"]) == (2 * LOCATIONS if "caco" in case else 0)
    assert two["weights"] == pytest.approx(alone["weights"], rel=1e-12)


def test_a_stopped_run_of_two_goes_on_where_it_was(data: Path, tmp_path: Path) -> None:
    def train(out: str, *more: str) -> subprocess.Popen[str]:
        command = [
            sys.executable, "-m", "caco_data.cli", "train", "--data", str(data), "--device", "cpu",
            "--devices", "2", "--batch-size", "16", "--queue-size", "32", "--crop-size", "32",
            "--epochs", "2", "--log-every", "1", "--out", str(tmp_path / out), *more,
        ]  # fmt: skip
        return subprocess.Popen(command, text=True, stdout=-1, stderr=-1)

    whole, stopped = train("whole"), train("stopped")
    assert stopped.stderr is not None
    said = ""
    while "step 1 of 4" not in said:
        line = stopped.stderr.readline()
        assert line, said
        said += line
    stopped.terminate()
    said += stopped.communicate(timeout=120)[1]
    assert stopped.returncode == 130, said
    assert said.count("Interrupted") == 1
    assert "--resume" in said
    output, logs = train("stopped", "--resume").communicate(timeout=120)
    assert "4 steps" in output, logs
    output, logs = whole.communicate(timeout=120)
    assert "4 steps" in output, logs
    ends = [load_file(tmp_path / out / "encoder.safetensors") for out in ("whole", "stopped")]
    assert all(torch.equal(x, ends[1][name]) for name, x in ends[0].items())
