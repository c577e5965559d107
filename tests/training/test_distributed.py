from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from tests.support import train_in_parts
from tests.support.train_in_parts import CASES, Outcome
from tests.support.training_data import make_training_set

torch.set_num_threads(1)

#: Two batches per epoch.
LOCATIONS = 16
#: Far more than the processes need on a busy machine.
LIMIT_S = 900


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_training_set(tmp_path_factory.mktemp("data") / "set", LOCATIONS)


@pytest.fixture(scope="module")
def by_two(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with the outcomes and runs of two processes."""
    folder = tmp_path_factory.mktemp("two")
    command = [sys.executable, "-m", train_in_parts.__name__, str(data), "2", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.parametrize("case", CASES)
def test_two_processes_learn_the_same_as_one(data: Path, by_two: Path, case: str) -> None:
    """BatchNorm statistics, keys, gradients and distances are those of the whole batch.

    Augmentation, network, loss and change estimate are computed in double precision, because the
    order of sums depends on the number of rows and on the CPU (in MKL with AVX-512 on Intel CPUs
    even that of products with three columns). Rounding errors reach 1e-14 after four steps; a
    single float32 operation causes differences of 1e-9 to 1e-8, and statistics or gradients of half
    the batch differences above 1e-2.
    """
    one = train_in_parts.learn(train_in_parts.make_fabric(1), str(data), CASES[case])
    two: Outcome = json.loads((by_two / "outcomes.json").read_text())[case]
    assert len(one["losses"]) == 4
    assert len(one["distances"]) == (2 * LOCATIONS if "caco" in case else 0)
    assert two["changed_share"] == one["changed_share"]
    for key in ("losses", "distances"):
        np.testing.assert_allclose(two[key], one[key], rtol=1e-11)
    assert two["weights"] == pytest.approx(one["weights"], rel=1e-11)


def test_a_stopped_run_of_two_processes_ends_as_without_the_stop(by_two: Path) -> None:
    whole, stopped = (
        load_file(by_two / run / "encoder.safetensors") for run in ("whole", "stopped")
    )
    assert all(torch.equal(weight, stopped[name]) for name, weight in whole.items())


def test_sigterm_stops_both_processes(data: Path, tmp_path: Path) -> None:
    """The run has too many epochs to end by itself before the signal."""
    command = [
        sys.executable, "-m", "caco_data.cli", "train", "--data", str(data), "--device", "cpu",
        "--devices", "2", "--batch-size", "16", "--queue-size", "32", "--crop-size", "32",
        "--epochs", "100000", "--log-every", "1", "--out", str(tmp_path / "run"),
    ]  # fmt: skip
    with subprocess.Popen(
        command, text=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as process:
        limit = threading.Timer(LIMIT_S, process.kill)
        limit.start()
        assert process.stderr is not None
        log = ""
        for line in process.stderr:  # until both processes have ended
            log += line
            if "step 1 of" in line:
                process.terminate()
        limit.cancel()
    assert process.returncode == 130, log
    assert log.count("Interrupted") == 1
    assert "--resume" in log
