from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from caco_data.errors import InputError
from caco_data.training.models.encoder import RESNETS
from caco_data.training.models.weights import TrainedEncoder, export_encoder, load_encoder

torch.set_num_threads(1)


def authors_network(name: str) -> nn.Sequential:
    """`nn.Sequential(*list(torchvision's resnet.children())[:-1], nn.Flatten())`."""
    net = RESNETS[name](3)
    stages = [net.get_submodule(f"layer{i}") for i in (1, 2, 3, 4)]
    stem = [net.get_submodule("conv1"), net.get_submodule("bn1"), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    return nn.Sequential(*stem, *stages, nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_weights_released_by_the_authors_are_loaded(tmp_path: Path, name: str) -> None:
    theirs = authors_network(name)
    torch.save(theirs.state_dict(), tmp_path / f"{name}_caco_geo_100k_1000.pth")
    ours = load_encoder(tmp_path / f"{name}_caco_geo_100k_1000.pth")
    assert (ours.name, ours.bands, ours.size) == (name, ("B4", "B3", "B2"), 224)
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(ours.network(images), theirs(images))


def test_files_that_contain_no_encoder_are_rejected(tmp_path: Path) -> None:
    path = tmp_path / "encoder.safetensors"
    path.write_bytes(b"unrelated text")
    with pytest.raises(InputError, match=r"encoder\.safetensors"):
        load_encoder(path)


def test_encoders_of_timm_are_exported_in_the_timm_format_only(tmp_path: Path) -> None:
    encoder = TrainedEncoder("timm:vit", nn.Linear(2, 3), 3, ("B4",), 224)
    with pytest.raises(InputError, match="--format timm"):
        export_encoder(encoder, "torchvision", tmp_path / "x.pth")
    assert export_encoder(encoder, "timm", tmp_path / "x.pth").keys() == {"weight", "bias"}
