"""Encoders by name: the ResNets of `resnet`, or any of timm's where timm is installed."""

from __future__ import annotations

import importlib
import importlib.util

from torch import nn

from caco_data.errors import InputError
from caco_data.training.models.resnet import resnet18, resnet50

RESNETS = {"resnet18": resnet18, "resnet50": resnet50}
TIMM = "timm:"


def check_encoder(name: str) -> None:
    """Raise InputError for a name that no encoder has, as far as that can be told without one."""
    if name in RESNETS:
        return
    if not name.startswith(TIMM):
        choices = ", ".join(RESNETS)
        raise InputError(
            f"No encoder '{name}'", "--encoder", f"Give one of {choices}, or {TIMM}NAME"
        )
    if importlib.util.find_spec("timm") is None:
        raise InputError(
            f"'{name}' needs timm, which is not installed", "--encoder", "Run: pip install timm"
        )
    timm = importlib.import_module("timm")
    if not timm.is_model(name.removeprefix(TIMM)):
        raise InputError(
            f"timm has no model '{name.removeprefix(TIMM)}'",
            "--encoder",
            "timm.list_models() names them",
        )


def make_encoder(name: str, bands: int, size: int) -> tuple[nn.Module, int]:
    """Make an encoder with fresh weights.

    Parameters
    ----------
    name : str
        `resnet18`, `resnet50`, or `timm:` and one of timm's names.
    bands : int
        Input bands C; the first convolution fits them.
    size : int
        Side of the images, pixels, for those of timm's models that must know it.

    Returns
    -------
    encoder : nn.Module
        Maps images (N, C, size, size) to features (N, F).
    features : int
        F.

    Raises
    ------
    InputError
        When there is no such encoder.
    """
    check_encoder(name)
    if name in RESNETS:
        encoder = RESNETS[name](bands)
        return encoder, encoder.features
    timm = importlib.import_module("timm")
    settings = {"pretrained": False, "num_classes": 0, "in_chans": bands}
    try:
        model: nn.Module = timm.create_model(name.removeprefix(TIMM), **settings, img_size=size)
    except TypeError:  # a convolutional one, which takes any size
        model = timm.create_model(name.removeprefix(TIMM), **settings)
    return model, int(getattr(model, "head_hidden_size", None) or model.num_features)  # type: ignore[arg-type]
