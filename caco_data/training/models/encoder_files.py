"""Tensors and encoder cards in files: safetensors, ONNX, and checkpoints of torch.save."""

from __future__ import annotations

import json
import pickle
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from caco_data.training.band_scaling import band_scaling
from caco_data.training.models.card import (
    CARD_KEY,
    EncoderCard,
    band_input,
    card_from_json,
    sidecar,
)
from caco_data.training.models.onnx_file import read_onnx

#: Classes in checkpoints of Lightning and argparse that hold settings only. They are read as inert
#: objects; any other class is refused, because unpickling it could run code.
_INERT = (
    "argparse.Namespace",
    "pathlib.PosixPath",
    "pathlib._local.PosixPath",
    "numpy.dtype",
    "numpy.core.multiarray.scalar",
    "numpy._core.multiarray.scalar",
    "omegaconf.dictconfig.DictConfig",
    "pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint",
    "pytorch_lightning.callbacks.early_stopping.EarlyStopping",
    "pytorch_lightning.utilities.parsing.AttributeDict",
    "lightning.pytorch.utilities.parsing.AttributeDict",
    "lightning.fabric.utilities.data.AttributeDict",
)
#: Keys under which checkpoints store the tensors of a model.
_STATE_KEYS = ("state_dict", "model_state_dict", "model", "weights", "student", "teacher")


class EncoderFile(NamedTuple):
    """Content of a file."""

    tensors: dict[str, Tensor]
    card: EncoderCard | None
    """None when neither the file nor a sidecar contains one."""


class _Inert(dict[Any, Any]):
    """Stands for an object of a checkpoint that is not needed."""

    def __new__(cls, *args: Any, **named: Any) -> _Inert:
        return super().__new__(cls)

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__()


def read_encoder_file(path: Path) -> EncoderFile:
    """Read the tensors and the card of a file.

    Raises
    ------
    ValueError
        When the file is damaged, contains objects that are not allowed, or a card that cannot be
        read.
    OSError
        When the file cannot be read.
    """
    if path.suffix == ".safetensors":
        tensors, card = _read_safetensors(path)
    elif path.suffix == ".onnx":
        tensors, text = read_onnx(path)
        card = card_from_json(text) if text is not None else None
    else:
        tensors, card = _read_checkpoint(path)
    if card is None and sidecar(path).exists():
        card = card_from_json(sidecar(path).read_text(encoding="utf-8"))
    return EncoderFile(tensors, card)


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], EncoderCard | None]:
    from safetensors import SafetensorError, safe_open
    from safetensors.torch import load_file

    try:
        with safe_open(path, "pt") as file:
            meta: Mapping[str, str] = file.metadata() or {}
        tensors: dict[str, Tensor] = load_file(path)
    except SafetensorError as error:
        raise ValueError(f"not a safetensors file: {error}") from error
    if CARD_KEY in meta:
        return tensors, card_from_json(meta[CARD_KEY])
    return tensors, _card_of_version_0(meta) if "crop_size" in meta else None


def _card_of_version_0(meta: Mapping[str, str]) -> EncoderCard:
    """Card from the metadata that version 0.1 of caco-data wrote."""
    values = {name: json.loads(text) for name, text in meta.items() if name != "format"}
    return EncoderCard(
        architecture=values["encoder"],
        features=2048 if values["encoder"] == "resnet50" else 512,
        bands=tuple(band_input(name, *band_scaling(name)) for name in values["bands"]),
        input_size=values["crop_size"],
        input_unit="DN" if str(values.get("input")).startswith("DN, ") else "DN / 10000 * 255",
        method=values.get("method"),
        framework=values.get("framework"),
        settings=values,
        data_digest=values.get("data_digest"),
    )


@contextmanager
def _inert_objects() -> Iterator[None]:
    allowed = [(_Inert, name) for name in _INERT]
    with torch.serialization.safe_globals([*allowed, _Inert]), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of renamed storages in old checkpoints
        yield


def _read_checkpoint(path: Path) -> tuple[dict[str, Tensor], EncoderCard | None]:
    try:
        with _inert_objects():
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(_pickle_fault(str(error))) from error
    except (OSError, RuntimeError, EOFError, LookupError, AttributeError, TypeError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(f"no file of weights, or a damaged one: {first.rstrip('.:')}") from error
    if not isinstance(content, Mapping):
        raise ValueError(f"an object of type {type(content).__name__} instead of weights")
    text = content.get(CARD_KEY)
    card = card_from_json(text) if isinstance(text, str) else None
    for key in _STATE_KEYS:
        if isinstance(content.get(key), Mapping):
            content = content[key]
            break
    tensors = {str(n): x for n, x in content.items() if isinstance(x, Tensor)}
    if not tensors:
        found = ", ".join(map(str, list(content)[:10])) or "nothing"
        raise ValueError(f"no weights; the file contains {found}")
    return tensors, card


def _pickle_fault(message: str) -> str:
    """Reason for which a pickle was refused, in one line."""
    marker = "Unsupported global: GLOBAL "
    if marker in message:
        name = message.split(marker, 1)[1].split(" ", 1)[0]
        return f"an unsafe pickle: it contains {name}, which could run code when it is loaded"
    if "Unsupported" in message:
        return "an unsafe pickle: it contains instructions other than those of weights"
    return "no file of weights"
