"""Loading of encoders: those of runs, the authors', exports, and weights of other software."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from torch import Tensor, nn

from caco_data.errors import InputError
from caco_data.sentinel2 import ALL_BANDS, RGB_BANDS
from caco_data.training.band_scaling import OTHER_BANDS, STRETCH, band_scaling
from caco_data.training.models.card import CITATION, BandInput, EncoderCard, band_input
from caco_data.training.models.encoder import RESNETS, make_encoder
from caco_data.training.models.encoder_files import read_encoder_file
from caco_data.training.models.preprocess import Preprocess
from caco_data.training.models.weight_names import FoundEncoder, describe, find_encoder

#: Name of the encoder's file in the folder of a run.
ENCODER = "encoder.safetensors"
_REMEDY = (
    "Use a run folder, its encoder.safetensors, an export of caco-data, a file of the paper's "
    "authors, or weights of a ResNet-18 or -50"
)
#: Bands assumed for weights without a card, by number of channels: 13 are those of Level-1C.
_BANDS_BY_COUNT = {
    3: RGB_BANDS,
    12: ALL_BANDS,
    13: (*ALL_BANDS[:10], "B10", *ALL_BANDS[10:]),
}
#: Side in pixels of the views in the paper's training, and of most ImageNet training.
_USUAL_SIZE = 224


class LoadedEncoder(NamedTuple):
    """An encoder ready for use: `module(preprocess(images))` gives features (N, F)."""

    module: nn.Module
    """Maps inputs (N, C, size, size) to features (N, F); in evaluation mode, on the CPU."""
    preprocess: Preprocess
    """Makes inputs of the module from images."""
    card: EncoderCard
    """Description of the encoder."""


def load_encoder(path: str | os.PathLike[str]) -> LoadedEncoder:
    """Load an encoder with its preprocessing and its card.

    Parameters
    ----------
    path : path
        Folder of a run; its `encoder.safetensors`; a file written by `export-encoder`; a file
        released by the paper's authors; a checkpoint of MoCo, SeCo or Lightning; or weights of a
        ResNet-18 or -50 of torchvision, timm or torchgeo. Files without a card get one with
        assumed values, listed in `card.assumed`.

    Returns
    -------
    LoadedEncoder
        The tuple (module, preprocess, card).

    Raises
    ------
    InputError
        When the file contains no encoder, is damaged, or contains objects that could run code.
    """
    source = Path(path)
    source = source / ENCODER if source.is_dir() else source
    if not source.is_file():
        raise InputError("No encoder here", str(path), _REMEDY)
    try:
        tensors, card = read_encoder_file(source)
        if card is not None and card.architecture not in RESNETS:
            weights = tensors  # a model of timm, under its own names
        else:
            found = find_encoder(tensors)
            card, weights = card or _assumed_card(found), found.weights
        _check_card(card)
        network, features = make_encoder(card.architecture, len(card.bands), card.input_size)
        _load(network, weights)
    except InputError:
        raise
    except (ValueError, OSError, KeyError, RuntimeError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"Not an encoder: {first.rstrip('.:')}", str(source), _REMEDY) from error
    network.eval().requires_grad_(False)
    card = EncoderCard(**{**vars(card), "features": features})
    return LoadedEncoder(network, Preprocess(card), card)


def _check_card(card: EncoderCard) -> None:
    if not card.bands or card.input_size < 1:
        raise ValueError("the encoder card names no bands or no input size")


def _load(network: nn.Module, weights: dict[str, Tensor]) -> None:
    """Load weights; ValueError names the tensors that are missing, unknown or of another shape."""
    wanted = network.state_dict()
    # Counters of BatchNorm, which old files lack, do not change the features.
    for name in wanted.keys() - weights.keys():
        if name.endswith("num_batches_tracked"):
            weights[name] = wanted[name]
    missing, unknown = (
        sorted(wanted.keys() - weights.keys()),
        sorted(weights.keys() - wanted.keys()),
    )
    if missing or unknown:
        found = describe(weights)
        parts = [f"{len(x)} {word}, such as {x[0]}" for x, word in
                 ((missing, "missing"), (unknown, "unknown")) if x]  # fmt: skip
        raise ValueError(f"{found}: {'; '.join(parts)}")
    for name, x in wanted.items():
        if x.shape != weights[name].shape:
            raise ValueError(
                f"{name} has the shape {tuple(weights[name].shape)} instead of {tuple(x.shape)}"
            )
    network.load_state_dict(weights)


def _assumed_card(found: FoundEncoder) -> EncoderCard:
    """Card of weights without a card."""
    names = _BANDS_BY_COUNT.get(found.bands)
    if names is None:
        raise ValueError(
            f"{found.bands} input channels and no encoder card that names the bands; bands are "
            f"assumed for {', '.join(map(str, _BANDS_BY_COUNT))} channels only"
        )
    return EncoderCard(
        architecture=found.architecture,
        features=0,
        bands=tuple(_assumed_band(name) for name in names),
        input_size=_USUAL_SIZE,
        citation=CITATION if found.numbered else None,
        assumed=("bands", "scaling", "input_size"),
    )


def _assumed_band(name: str) -> BandInput:
    if name in STRETCH:
        return band_input(name, *band_scaling(name))
    return band_input(name, *STRETCH["B9"], *OTHER_BANDS)
