from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import click
import pytest
import torch

from caco_data.training.methods import METHODS
from caco_data.training.settings import FRAMEWORKS, PRESETS
from tests.conftest import Run
from tests.support.lock_holder import holding_process
from tests.support.training_data import make_training_set

torch.set_num_threads(1)

TINY = (
    "--device", "cpu", "--batch-size", 8, "--queue-size", 64, "--crop-size", 32, "--log-every", 1,
)  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_training_set(tmp_path_factory.mktemp("data") / "set", 12)


def train_command() -> click.Command:
    from importlib.metadata import entry_points

    (script,) = entry_points(group="console_scripts", name="caco-data")
    command: click.Command = script.load().commands["train"]
    return command


def test_choices_of_the_options_are_those_of_the_library() -> None:
    choices = {p.name: p.type.choices for p in train_command().params
               if isinstance(p.type, click.Choice)}  # fmt: skip
    assert set(choices["method"]) == set(METHODS)
    assert set(choices["framework"]) == set(FRAMEWORKS)
    assert set(choices["preset"]) == set(PRESETS)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), {"epochs": 200, "batch_size": 8, "framework": "moco"}),
        (("--preset", "paper-100k"), {"epochs": 1000}),
        (("--preset", "paper-1m"), {"epochs": 200}),
        (("--preset", "paper-100k", "--epochs", 3), {"epochs": 3}),
        (("--framework", "simclr"), {"batch_size": 8}),
        (("--method", "moco-tp", "--bands", "b4,B2"), {"method": "moco-tp", "bands": ["B4", "B2"]}),
        (("--change-estimate", "ratio"), {"change_estimate": "ratio"}),
    ],
    ids=str,
)
def test_options_are_recorded_in_the_run(
    run: Run, data: Path, tmp_path: Path, arguments: tuple[object, ...], expected: dict[str, object]
) -> None:
    out = tmp_path / "run"
    result = run("train", "--data", data, "--out", out, *TINY, "--max-steps", 1, *arguments)
    assert result.exit_code == 0, result.stderr
    settings = json.loads((out / "config.json").read_text())["settings"]
    assert {name: settings[name] for name in expected} == expected


def test_the_default_batch_of_simclr_has_512_rows(run: Run, data: Path, tmp_path: Path) -> None:
    result = run("train", "--data", data, "--out", tmp_path / "run", "--device", "cpu",
                 "--framework", "simclr")  # fmt: skip
    assert "A batch of 512 rows needs 256 locations" in result.stderr


def test_output_of_a_run_and_of_its_resumption(run: Run, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    arguments = ("train", "--data", data, "--out", out, *TINY, "--max-steps", 4)
    first = run(*arguments)
    assert first.exit_code == 0, first.stderr
    assert first.stdout.startswith(f"{out}: 4 steps, loss ")
    assert "AUROC of the change estimate" in first.stdout
    lines = [line for line in first.stderr.splitlines() if line.startswith("epoch")]
    assert len(lines) == 4
    assert "step 4 of 4" in lines[-1]
    assert (out / "encoder.safetensors").exists()

    again = run(*arguments)
    assert again.exit_code == 2
    assert again.stderr.count("\n") == 1
    assert "--resume" in again.stderr
    finished = run(*arguments, "--resume")
    assert finished.exit_code == 0
    assert "already finished" in finished.stdout
    assert "lr 0.03 -> 0.5" in run(*arguments, "--resume", "--lr", 0.5).stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--data", "nowhere"), "No data set here (nowhere)"),
        (("--batch-size", 7, "--queue-size", 70), "even"),
        (("--batch-size", 64), "has 12"),
        (("--queue-size", 65), "multiple"),
        (("--crop-size", 5), "at least 32"),
        (("--encoder", "vgg"), "No encoder 'vgg'"),
        (("--encoder", "timm:vit_small"), "pip install timm"),
        (("--bands", "B8"), "no band B8"),
        (("--devices", 3), "multiple of 6"),
        (("--method", "magic"), "--method"),
        (("--lr", 0), "--lr"),
        (("--lr", "nan"), "--lr"),
        (("--epochs", 0), "--epochs"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    run: Run, data: Path, tmp_path: Path, arguments: tuple[object, ...], words: str
) -> None:
    out = tmp_path / "run"
    result = run("train", "--data", data, "--out", out, *TINY, *arguments)
    assert result.exit_code == 2
    assert words in result.stderr
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    assert not out.exists()


def test_a_second_run_in_the_same_folder_is_refused(run: Run, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    out.mkdir()
    arguments = ("train", "--data", data, "--out", out, *TINY, "--max-steps", 1)
    with holding_process(out) as first:
        for more in ((), ("--resume",)):
            result = run(*arguments, *more)
            assert result.exit_code == 2
            assert f"process {first.pid}, since" in result.stderr
            assert result.stderr.count("\n") == 1
            assert [path.name for path in out.iterdir()] == [".lock"]
    # The process was killed: neither its lock nor its temporary files prevent the run.
    (out / "checkpoints").mkdir()
    (out / "config.json.12-0a1b2c3d.tmp").write_text("{")
    (out / "checkpoints" / "000000001.pt.12-0a1b2c3d.tmp").write_text("x")
    assert run(*arguments).exit_code == 0
    assert not list(out.rglob("*.tmp"))
    assert not (out / ".lock").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_missing_cuda_device_is_a_one_line_error(run: Run, data: Path, tmp_path: Path) -> None:
    result = run("train", "--data", data, "--out", tmp_path / "run")
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
    assert "--device cpu" in result.stderr


def test_the_error_without_torch_shows_the_install_command(data: Path) -> None:
    code = (
        "import sys; sys.modules['torch'] = None; sys.argv = ['caco-data', 'train']; "
        "from caco_data.cli.main import main; main()"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 2
    assert "pip install 'caco-data[train]'" in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_and_exits_130(
    run: Run, data: Path, tmp_path: Path, number: signal.Signals
) -> None:
    out = tmp_path / "run"
    arguments = ["train", "--data", data, "--out", out, *TINY]
    process = subprocess.Popen(
        [sys.executable, "-m", "caco_data.cli", *map(str, arguments)],
        stderr=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert process.stderr is not None
    with process.stderr:
        assert "step 1 of" in process.stderr.readline()
        second = run("train", "--data", data, "--out", out, *TINY, "--resume")
        assert second.exit_code == 2
        assert f"caco-data train on {socket.gethostname()}, process {process.pid}" in second.stderr
        process.send_signal(number)
        rest = process.stderr.read()
    assert process.wait(60) == 130
    assert "continue with --resume" in rest
    assert rest.endswith("error: Interrupted.\n")
    assert list((out / "checkpoints").glob("*.pt"))
