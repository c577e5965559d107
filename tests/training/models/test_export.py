from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from caco_data.errors import InputError
from caco_data.training.band_scaling import band_scaling
from caco_data.training.models.card import EncoderCard, band_input, sidecar
from caco_data.training.models.encoder import RESNETS
from caco_data.training.models.export import FORMATS, SUFFIXES, export_encoder
from caco_data.training.models.preprocess import Preprocess
from caco_data.training.models.weights import LoadedEncoder, load_encoder

torch.set_num_threads(1)
IMAGES = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))


def encoder(name: str = "resnet18") -> LoadedEncoder:
    torch.manual_seed(0)
    bands = tuple(band_input(band, *band_scaling(band)) for band in ("B8", "B4", "B3"))
    network = RESNETS[name](3)
    for module in network.modules():  # statistics as after training
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.1, 0.1)  # type: ignore[arg-type]
            nn.init.uniform_(module.running_var, 0.5, 1.5)  # type: ignore[arg-type]
    card = EncoderCard(name, network.features, bands, 96, method="caco", settings={"lr": 0.1})
    return LoadedEncoder(network.eval(), Preprocess(card), card)


def features(network: nn.Module) -> torch.Tensor:
    with torch.no_grad():
        result: torch.Tensor = network.eval()(IMAGES)
    return result


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
@pytest.mark.parametrize("kind", FORMATS)
def test_exports_are_read_again_with_their_card(tmp_path: Path, kind: Any, name: str) -> None:
    ours = encoder(name)
    for suffix in SUFFIXES[kind]:
        out = tmp_path / f"encoder{suffix}"
        export_encoder(ours, kind, out)
        assert sidecar(out).exists() == (suffix == ".pth" and kind != "torchgeo")
        again = load_encoder(out)
        assert again.card == ours.card
        assert torch.equal(features(again.module), features(ours.module))


def test_formats_and_suffixes_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot be written to '\.pth'.*\.onnx"):
        export_encoder(encoder(), "onnx", tmp_path / "x.pth")
    card = EncoderCard("timm:vit", 3, (band_input("B4", 0, 1, 0, 1),), 224)
    vit = LoadedEncoder(nn.Linear(2, 3), Preprocess(card), card)
    kind: Any
    for kind in ("torchvision", "caco"):
        with pytest.raises(InputError, match="--format timm"):
            export_encoder(vit, kind, tmp_path / "x.pth")
    assert export_encoder(vit, "timm", tmp_path / "x.pth").keys() == {"weight", "bias"}


def optional(name: str) -> Any:
    """Import a package that is not required, or skip the test."""
    try:
        return importlib.import_module(name)
    except (ImportError, RuntimeError) as error:
        pytest.skip(f"{name}: {error}")


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_torchvision_loads_the_export_and_is_loaded(tmp_path: Path, name: str) -> None:
    models = optional("torchvision.models")
    ours, theirs = encoder(name), getattr(models, name)()
    export_encoder(ours, "torchvision", tmp_path / "a.pth")
    weights = torch.load(tmp_path / "a.pth", weights_only=True)
    result = theirs.load_state_dict(weights, strict=False)
    assert sorted(result.missing_keys) == ["fc.bias", "fc.weight"]
    assert not result.unexpected_keys
    torch.save(theirs.state_dict(), tmp_path / "b.pth")
    theirs.fc = nn.Identity()
    assert torch.equal(features(theirs), features(ours.module))
    assert torch.equal(features(load_encoder(tmp_path / "b.pth").module), features(ours.module))


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_timm_loads_the_export_and_is_loaded(tmp_path: Path, name: str) -> None:
    timm = optional("timm")
    ours = encoder(name)
    out = tmp_path / "a.safetensors"
    export_encoder(ours, "timm", out)
    theirs = timm.create_model(name, num_classes=0, checkpoint_path=str(out))
    torch.testing.assert_close(features(theirs), features(ours.module))
    torch.save(timm.create_model(name).state_dict(), tmp_path / "b.pth")
    assert load_encoder(tmp_path / "b.pth").card.architecture == name


def test_torchgeo_loads_the_export_and_is_loaded(tmp_path: Path) -> None:
    trainers, models = optional("torchgeo.trainers"), optional("torchgeo.models")
    ours = encoder()
    out = tmp_path / "a.ckpt"
    export_encoder(ours, "torchgeo", out)
    task = trainers.ClassificationTask(
        model="resnet18", weights=str(out), in_channels=3, num_classes=4
    )
    backbone = task.model
    backbone.fc = nn.Identity()
    torch.testing.assert_close(features(backbone), features(ours.module))
    torch.save(models.resnet18(in_chans=13).state_dict(), tmp_path / "b.pth")
    assert len(load_encoder(tmp_path / "b.pth").card.bands) == 13


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_onnx_runtime_computes_the_same_features(tmp_path: Path, name: str) -> None:
    onnx, runtime = optional("onnx"), optional("onnxruntime")
    ours = encoder(name)
    out = tmp_path / "a.onnx"
    export_encoder(ours, "onnx", out)
    model = onnx.load(out)
    onnx.checker.check_model(model, full_check=True)
    assert json.loads(model.metadata_props[0].value) == json.loads(ours.card.to_json())
    session = runtime.InferenceSession(str(out), providers=["CPUExecutionProvider"])
    (found,) = session.run(["features"], {"image": IMAGES.numpy()})
    np.testing.assert_allclose(found, features(ours.module), rtol=1e-3, atol=1e-4)
