from __future__ import annotations

import argparse
import json
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import caco_data
from caco_data.errors import InputError
from caco_data.training.models.encoder import RESNETS
from caco_data.training.models.weights import load_encoder

torch.set_num_threads(1)

RGB = ("B4", "B3", "B2")


def authors_network(name: str) -> nn.Sequential:
    """`nn.Sequential(*list(torchvision's resnet.children())[:-1], nn.Flatten())`."""
    net = RESNETS[name](3)
    stages = [net.get_submodule(f"layer{i}") for i in (1, 2, 3, 4)]
    stem = [net.get_submodule("conv1"), net.get_submodule("bn1"), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    return nn.Sequential(*stem, *stages, nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()


def features(network: nn.Module) -> torch.Tensor:
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        result: torch.Tensor = network.eval()(images)
    return result


def save(content: Any, path: Path) -> Path:
    torch.save(content, path)
    return path


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_weights_released_by_the_authors_are_loaded(tmp_path: Path, name: str) -> None:
    theirs = authors_network(name)
    path = save(theirs.state_dict(), tmp_path / f"{name}_caco_geo_100k_1000.pth")
    module, preprocess, card = caco_data.load_encoder(path)
    assert (card.architecture, card.band_names, card.input_size) == (name, RGB, 224)
    assert card.features == (2048 if name == "resnet50" else 512)
    assert "bands" in card.assumed
    assert "Mall" in str(card.citation)
    torch.testing.assert_close(features(module), features(theirs))
    assert preprocess(torch.zeros(3, 64, 64, dtype=torch.uint8)).shape == (1, 3, 224, 224)


def test_checkpoints_of_whole_models_are_loaded(tmp_path: Path) -> None:
    """Names of SeCo's Lightning, of MoCo with DistributedDataParallel, of torchgeo's trainers."""
    torch.manual_seed(0)
    numbered, named, other = (
        authors_network("resnet18"),
        RESNETS["resnet18"](3),
        RESNETS["resnet18"](3),
    )
    heads = {"heads_q.0.0.weight": torch.zeros(4, 512), "queue": torch.zeros(4, 8)}
    fc = {
        "module.encoder_q.fc.weight": torch.zeros(9, 512),
        "module.encoder_q.fc.bias": torch.zeros(9),
    }

    def prefixed(prefix: str, network: nn.Module) -> dict[str, torch.Tensor]:
        return {prefix + name: x for name, x in network.state_dict().items()}

    settings = argparse.Namespace(lr=0.03, data=Path("seco"))
    lightning = {
        "epoch": 3, "hyper_parameters": settings,
        "state_dict": OrderedDict(
            prefixed("encoder_q.", numbered) | prefixed("encoder_k.", authors_network("resnet18"))
            | heads
        ),
    }  # fmt: skip
    moco = {
        "state_dict": prefixed("module.encoder_q.", named)
        | prefixed("module.encoder_k.", other)
        | fc
    }
    trainer = {"hyper_parameters": {"model": "resnet18"}, "state_dict": prefixed("model.", named)}
    for content, wanted in ((lightning, numbered), (moco, named), (trainer, named)):
        loaded = load_encoder(save(content, tmp_path / "checkpoint.ckpt"))
        assert torch.equal(features(loaded.module), features(wanted))


def test_weights_of_other_software_get_bands_by_their_number_of_channels(tmp_path: Path) -> None:
    for channels, last in ((12, "B12"), (13, "B12")):
        network = RESNETS["resnet18"](channels)
        card = load_encoder(save(network.state_dict(), tmp_path / "x.pth")).card
        assert (len(card.bands), card.band_names[-1]) == (channels, last)
        assert ("B10" in card.band_names) == (channels == 13)
        assert card.citation is None
    with pytest.raises(InputError, match="5 input channels and no encoder card"):
        load_encoder(save(RESNETS["resnet18"](5).state_dict(), tmp_path / "x.pth"))


def test_encoders_of_version_0_1_are_loaded(tmp_path: Path) -> None:
    meta = {
        "encoder": "resnet18", "bands": ["B8", "B4"], "crop_size": 96, "method": "seco",
        "framework": "moco", "input": "DN, times 255 / 10000", "data_digest": "abc",
    }  # fmt: skip
    path = tmp_path / "encoder.safetensors"
    network = RESNETS["resnet18"](2)
    text = {name: json.dumps(value) for name, value in meta.items()}
    save_file(network.state_dict(), path, {"format": "pt", **text})
    card = load_encoder(tmp_path).card
    assert (card.band_names, card.input_size, card.method) == (("B8", "B4"), 96, "seco")
    assert (card.input_unit, card.data_digest, card.assumed) == ("DN", "abc", ())


class Unsafe:
    def __reduce__(self) -> tuple[Any, ...]:
        return print, ("this must not run",)


def test_files_that_contain_no_encoder_are_rejected_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = tmp_path / "encoder.safetensors"
    text.write_bytes(b"unrelated text")
    graph = tmp_path / "encoder.onnx"
    graph.write_bytes(b"unrelated text")
    plain = tmp_path / "text.pth"
    plain.write_bytes(b"unrelated text")
    network = RESNETS["resnet18"](3)
    state = network.state_dict()
    cut = save(state, tmp_path / "cut.pth")
    cut.write_bytes(cut.read_bytes()[:50_000])
    block = {n: x for n, x in state.items() if n.startswith("layer1.0.")}
    deep = {**state, **{n.replace("layer1.0", "layer1.2"): x for n, x in block.items()}}
    wrong = {**state, "layer2.0.conv1.weight": torch.zeros(1, 1, 3, 3)}
    part = {name: x for name, x in state.items() if "layer4.1" not in name or "conv2" not in name}
    two = {f"{p}.{n}": x for p in ("a", "b") for n, x in state.items()}
    for path, words in (
        (text, "not a safetensors file"),
        (graph, "damaged protobuf"),
        (plain, "no file of weights"),
        (cut, "a damaged one"),
        (save(Unsafe(), tmp_path / "unsafe.pth"), "an unsafe pickle: it contains print"),
        (save({"state_dict": state, "x": Unsafe()}, tmp_path / "u2.pth"), "an unsafe pickle"),
        (save([1, 2], tmp_path / "list.pth"), "type list"),
        (save({"epoch": 3}, tmp_path / "none.pth"), "the file contains epoch"),
        (save({"patch_embed.w": torch.zeros(2), "blocks.0.w": torch.zeros(2)}, tmp_path / "v.pth"),
         "no ResNet among 2 tensors (patch_embed 1, blocks 1)"),
        (save(deep, tmp_path / "deep.pth"), "3-2-2-2 basic blocks"),
        (save(wrong, tmp_path / "wrong.pth"), "layer2.0.conv1.weight has the shape (1, 1, 3, 3)"),
        (save(part, tmp_path / "part.pth"), "1 missing, such as layer4.1.conv2.weight"),
        (save(two, tmp_path / "two.pth"), "several encoders: 'a.', 'b.'"),
        (tmp_path / "nothing", "No encoder here"),
    ):  # fmt: skip
        with pytest.raises(InputError) as error:
            load_encoder(path)
        assert words in str(error.value), str(error.value)
        assert "\n" not in str(error.value)
    assert capsys.readouterr().out == ""
