"""Encoders by name: the ResNets of `resnet`, or any model of timm if timm is installed."""

from __future__ import annotations

import importlib
import importlib.util

from torch import nn

from caco_data.errors import InputError
from caco_data.training.models.resnet import resnet18, resnet50

RESNETS = {"resnet18": resnet18, "resnet50": resnet50}
TIMM = "timm:"


def check_encoder(name: str) -> None:
    """Raise InputError if no encoder has this name, without building an encoder."""
    if name in RESNETS:
        return
    if not name.startswith(TIMM):
        choices = ", ".join(RESNETS)
        raise InputError(
            f"No encoder '{name}'", "--encoder", f"Use one of {choices}, or {TIMM}NAME"
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
            "List the available models with timm.list_models()",
        )


def make_encoder(name: str, bands: int, size: int) -> tuple[nn.Module, int]:
    """Make an encoder with initial weights.

    Parameters
    ----------
    name : str
        `resnet18`, `resnet50`, or `timm:` and the name of a timm model.
    bands : int
        Number C of input bands.
    size : int
        Side of the images in pixels, for timm models with a fixed image size.

    Returns
    -------
    encoder : nn.Module
        Maps images (N, C, size, size) to features (N, F).
    features : int
        Number F of features.

    Raises
    ------
    InputError
        When no encoder has this name.
    """
    check_encoder(name)
    if name in RESNETS:
        encoder = RESNETS[name](bands)
        return encoder, encoder.features
    timm = importlib.import_module("timm")
    settings = {"pretrained": False, "num_classes": 0, "in_chans": bands}
    try:
        model: nn.Module = timm.create_model(name.removeprefix(TIMM), **settings, img_size=size)
    except TypeError:  # a convolutional model, which accepts any size
        model = timm.create_model(name.removeprefix(TIMM), **settings)
    return model, int(getattr(model, "head_hidden_size", None) or model.num_features)  # type: ignore[arg-type]
