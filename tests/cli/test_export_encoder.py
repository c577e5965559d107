from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from caco_data.dataset.reader import open_dataset
from caco_data.training.models.encoder import RESNETS
from caco_data.training.models.weights import load_encoder
from caco_data.training.outputs import save_encoder
from caco_data.training.run_folder import RunFolder
from caco_data.training.settings import TrainSettings
from tests.conftest import Run
from tests.support.training_data import make_training_set
from tests.training.models.test_weights import authors_network

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a run with a randomly initialised encoder."""
    root = tmp_path_factory.mktemp("trained")
    data = make_training_set(root / "set", 1)
    settings = TrainSettings(data=str(data), out=str(root / "run"), crop_size=96)
    torch.manual_seed(0)
    dataset = open_dataset(data)
    save_encoder(RunFolder(settings, dataset), dataset, RESNETS["resnet18"](3), 512)
    return root / "run"


def test_the_authors_architecture_loads_the_caco_format(
    run: Run, trained: Path, tmp_path: Path
) -> None:
    out = tmp_path / "encoder.pth"
    result = run("export-encoder", trained, "--format", "caco", "--out", out)
    assert result.exit_code == 0, result.stderr
    assert result.stdout == f"{out}\n"
    theirs = authors_network("resnet18")
    theirs.load_state_dict(torch.load(out, weights_only=True))
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        expected = load_encoder(trained / "encoder.safetensors").module(images)
        torch.testing.assert_close(theirs(images), expected)


@pytest.mark.parametrize("kind", ["torchvision", "timm"])
def test_torchvision_and_timm_formats_have_the_parameter_names_of_a_run(
    run: Run, trained: Path, tmp_path: Path, kind: str
) -> None:
    wanted = load_file(trained / "encoder.safetensors")
    for name in ("encoder.safetensors", "encoder.pth"):
        result = run("export-encoder", trained / "encoder.safetensors", "--format", kind,
                     "--out", tmp_path / name)  # fmt: skip
        assert result.exit_code == 0, result.stderr
    for found in (
        load_file(tmp_path / "encoder.safetensors"),
        torch.load(tmp_path / "encoder.pth", weights_only=True),
    ):
        assert found.keys() == wanted.keys()
        assert all(torch.equal(found[name], x) for name, x in wanted.items())


def test_bad_input_is_one_line(run: Run, trained: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.pth"
    torch.save(authors_network("resnet18").state_dict(), damaged)
    damaged.write_bytes(damaged.read_bytes()[:50_000])
    foreign = tmp_path / "foreign.pth"
    torch.save({"weight": torch.zeros(2)}, foreign)
    out = tmp_path / "out.pth"
    for source, target, words in (
        (tmp_path / "nothing", out, "No encoder here"),
        (tmp_path / "nothing.pth", out, "No encoder here"),
        (damaged, out, "Not an encoder"),
        (foreign, out, "Not an encoder"),
        (trained.parent / "set" / "dataset.json", out, "Not an encoder"),
        (trained, tmp_path / "out.onnx", "'.onnx'"),
        (trained, foreign, "--overwrite"),
    ):
        result = run("export-encoder", source, "--out", target)
        assert result.exit_code == 2, result.stderr
        assert words in result.stderr
        assert result.stderr.count("\n") == 1
    assert not out.exists()
