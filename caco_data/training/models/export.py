"""Export of encoders for use by other software, with their card."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from caco_data.errors import InputError
from caco_data.storage import LocalStorage, write_bytes
from caco_data.training.models.card import CARD_KEY, EncoderCard, sidecar
from caco_data.training.models.onnx_file import write_onnx
from caco_data.training.models.resnet import ResNet
from caco_data.training.models.weight_names import NUMBERS, rename
from caco_data.training.models.weights import LoadedEncoder

Format = Literal["torchvision", "timm", "torchgeo", "caco", "onnx"]
FORMATS: tuple[Format, ...] = get_args(Format)
#: File suffixes of each format, the usual one first.
SUFFIXES: dict[Format, tuple[str, ...]] = {
    "torchvision": (".pth", ".safetensors"),
    "timm": (".safetensors", ".pth"),
    "torchgeo": (".ckpt", ".pth"),
    "caco": (".pth", ".safetensors"),
    "onnx": (".onnx",),
}


def export_encoder(
    encoder: LoadedEncoder, kind: Format, path: str | os.PathLike[str]
) -> dict[str, Tensor]:
    """Write an encoder for use by other software.

    Parameters
    ----------
    encoder : LoadedEncoder
        Encoder to write.
    kind : {"torchvision", "timm", "torchgeo", "caco", "onnx"}
        torchvision, timm: state dict under their common names, without the classifier. torchgeo:
        a checkpoint that its trainers accept as `weights=`. caco: state dict under the numbers of
        the authors' Sequential. onnx: a graph from prepared images to features.
    path : path
        File to write. The card is stored in the metadata of `.safetensors` and `.onnx` files and in
        the checkpoint of torchgeo; for `.pth` files of the other formats, in the sidecar
        `NAME.card.json`.

    Returns
    -------
    dict of str to Tensor
        The weights as written.

    Raises
    ------
    InputError
        When the suffix does not fit the format, or the format has no names for the architecture.
    """
    target, card = Path(path), encoder.card
    if target.suffix not in SUFFIXES[kind]:
        raise InputError(
            f"Format {kind} cannot be written to '{target.suffix or target.name}'",
            str(target),
            f"Use a file name that ends in {' or '.join(SUFFIXES[kind])}",
        )
    if kind not in ("timm", "torchgeo") and not isinstance(encoder.module, ResNet):
        raise InputError(
            f"No {kind} format for encoder '{card.architecture}'", "--format", "Use --format timm"
        )
    weights: dict[str, Tensor] = dict(encoder.module.state_dict())
    if kind == "caco":
        weights = rename(weights, NUMBERS)
    if kind == "torchgeo":
        weights = {f"model.{name}": x for name, x in weights.items()}
    storage = LocalStorage(target.parent)
    if kind == "onnx":
        assert isinstance(encoder.module, ResNet)
        write_bytes(storage, target.name, write_onnx(encoder.module, card.to_json()))
    elif target.suffix == ".safetensors":
        from safetensors.torch import save

        weights = {name: x.contiguous() for name, x in weights.items()}
        # `pt` is expected by the loaders of timm and Hugging Face.
        meta = {"format": "pt", CARD_KEY: card.to_json()}
        write_bytes(storage, target.name, save(weights, meta))
    else:
        content: dict[str, Any] = weights if kind != "torchgeo" else _torchgeo(weights, card)
        with storage.writing(target.name) as file:
            torch.save(content, file)
        if kind != "torchgeo":
            write_bytes(storage, sidecar(target).name, (card.to_json() + "\n").encode())
    return weights


def _torchgeo(weights: dict[str, Tensor], card: EncoderCard) -> dict[str, Any]:
    """Checkpoint in the form that torchgeo's `extract_backbone` reads."""
    return {
        "hyper_parameters": {
            "model": card.architecture.removeprefix("timm:"),
            "in_channels": len(card.bands),
        },
        "state_dict": weights,
        CARD_KEY: json.dumps(card.to_dict()),
    }
