"""Encoder files: those of a run, those released by the authors, and exports to other formats."""

from __future__ import annotations

import json
import os
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from caco_data.errors import InputError
from caco_data.sentinel2 import RGB_BANDS
from caco_data.storage import LocalStorage
from caco_data.training.models.encoder import RESNETS, make_encoder

Format = Literal["torchvision", "timm", "caco"]

#: The authors save `nn.Sequential(*resnet.children())` without the classifier: modules are
#: numbered, including those without weights (activation, poolings, flattening).
_NUMBERS = {
    "conv1": "0", "bn1": "1", "layer1": "4", "layer2": "5", "layer3": "6", "layer4": "7",
}  # fmt: skip
_NAMES = {number: name for name, number in _NUMBERS.items()}
#: Side in pixels of the views in the paper's training.
_PAPER_SIZE = 224


@dataclass(frozen=True)
class TrainedEncoder:
    """Encoder network and the images it was trained on."""

    name: str
    """`resnet18`, `resnet50`, or `timm:` and the name of a timm model."""
    network: nn.Module
    """Maps images (N, C, size, size) to features (N, F)."""
    features: int
    """Number F of features."""
    bands: tuple[str, ...]
    """Bands of the C channels."""
    size: int
    """Side in pixels of the images it was trained on."""


def load_encoder(path: str | os.PathLike[str]) -> TrainedEncoder:
    """Load `encoder.safetensors` of a run, or a `.pth` file released by the authors of the paper.

    Raises
    ------
    InputError
        When the file is neither.
    """
    from safetensors import SafetensorError

    read = _read_released if Path(path).suffix == ".pth" else _read_run
    try:
        name, bands, size, weights = read(path)
        network, features = make_encoder(name, len(bands), size)
        network.load_state_dict(weights)
    except FileNotFoundError as error:
        raise InputError(
            "No encoder here", str(path), "Use the encoder.safetensors of a run"
        ) from error
    except (
        SafetensorError, pickle.UnpicklingError, EOFError, OSError, AttributeError, KeyError,
        ValueError, RuntimeError,
    ) as error:  # fmt: skip
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(
            f"Not an encoder: {first.rstrip('.:')}",
            str(path),
            "Use the encoder.safetensors of a run, or a .pth file of the paper's authors",
        ) from error
    return TrainedEncoder(name, network.eval(), features, bands, size)


_Found = tuple[str, tuple[str, ...], int, dict[str, Tensor]]


def _read_run(path: str | os.PathLike[str]) -> _Found:
    from safetensors import safe_open
    from safetensors.torch import load_file

    with safe_open(path, "pt") as file:
        meta = {name: json.loads(v) for name, v in file.metadata().items() if name != "format"}
    return meta["encoder"], tuple(meta["bands"]), meta["crop_size"], load_file(path)


def _read_released(path: str | os.PathLike[str]) -> _Found:
    state: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    if "conv1.weight" not in state:
        state = _renamed(state, _NAMES)
    name = "resnet50" if "layer1.0.conv3.weight" in state else "resnet18"
    if state["conv1.weight"].shape[1] != len(RGB_BANDS):
        raise ValueError("the bands are not B4, B3, B2")
    return name, RGB_BANDS, _PAPER_SIZE, state


def _renamed(state: dict[str, Tensor], names: dict[str, str]) -> dict[str, Tensor]:
    """Replace the first part of each name."""
    parts = {name: name.partition(".") for name in state}
    return {f"{names[first]}.{rest}": state[name] for name, (first, _, rest) in parts.items()}


def export_encoder(
    encoder: TrainedEncoder, kind: Format, path: str | os.PathLike[str]
) -> dict[str, Tensor]:
    """Write the weights of an encoder for use by other software.

    Parameters
    ----------
    encoder : TrainedEncoder
        Encoder to write.
    kind : {"torchvision", "timm", "caco"}
        Naming of the weights; `caco` can be loaded by the authors' notebooks.
    path : path
        Written by safetensors if it ends in `.safetensors`, otherwise by `torch.save`.

    Returns
    -------
    dict of str to Tensor
        The weights as written.

    Raises
    ------
    InputError
        For an encoder of timm with the naming of torchvision or the authors.
    """
    if kind != "timm" and encoder.name not in RESNETS:
        raise InputError(
            f"No {kind} weight names are known for encoder '{encoder.name}'",
            "--format",
            "Use --format timm",
        )
    # ResNets have the same weight names in timm and torchvision.
    weights: dict[str, Any] = dict(encoder.network.state_dict())
    if kind == "caco":
        weights = _renamed(weights, _NUMBERS)
    target = Path(path)
    with LocalStorage(target.parent).writing(target.name) as file:
        if target.suffix == ".safetensors":
            from safetensors.torch import save

            file.write(save({name: x.contiguous() for name, x in weights.items()}))
        else:
            torch.save(weights, file)
    return weights
