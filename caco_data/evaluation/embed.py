"""Features of a data set's tiles, by an encoder that a run has saved."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from caco_data.dataset import TILES, Dataset
from caco_data.errors import InputError
from caco_data.training.augment import Augmenter, whole_tiles
from caco_data.training.encoder import make_encoder
from caco_data.types import PERIODS


@dataclass(frozen=True)
class TrainedEncoder:
    """A network and what it expects."""

    network: nn.Module
    """Maps images (N, C, size, size) to features (N, F)."""
    features: int
    """F."""
    bands: tuple[str, ...]
    """Of its C channels."""
    size: int
    """Side of the images it was trained on, pixels."""


def load_encoder(path: str | os.PathLike[str]) -> TrainedEncoder:
    """Load a run's `encoder.safetensors`.

    Raises
    ------
    InputError
        When the file is not one.
    """
    from safetensors import SafetensorError, safe_open
    from safetensors.torch import load_file

    try:
        with safe_open(path, "pt") as file:
            meta = {name: json.loads(v) for name, v in file.metadata().items() if name != "format"}
        bands = tuple(meta["bands"])
        network, features = make_encoder(meta["encoder"], len(bands), meta["crop_size"])
        network.load_state_dict(load_file(path))
    except (SafetensorError, AttributeError, KeyError, ValueError, RuntimeError) as error:
        raise InputError(
            f"Not an encoder of caco-data: {error}", str(path), "Give a run's encoder.safetensors"
        ) from error
    return TrainedEncoder(network.eval(), features, bands, meta["crop_size"])


@torch.no_grad()
def embed(dataset: Dataset, encoder: TrainedEncoder) -> NDArray[np.float32]:
    """Features of every tile.

    Parameters
    ----------
    dataset : Dataset
        Has the encoder's bands, as uint16 or uint8: the scaling follows.
    encoder : TrainedEncoder
        On the CPU.

    Returns
    -------
    ndarray of float32, shape (L, 2, 5, F)
        By location in the order of ids, period (early, late) and tile.

    Raises
    ------
    InputError
        When a band is missing.
    DatasetError
        When a tile's bytes are not what the index says.
    """
    stacks = dataset.stacks(encoder.bands)
    if stacks.bands != encoder.bands:
        raise InputError(
            f"The encoder's bands are {', '.join(encoder.bands)} in this order",
            dataset.root,
            f"The data set has {', '.join(stacks.bands)}",
        )
    eight_bit = stacks.dtype == np.uint8
    augment = Augmenter(encoder.bands, eight_bit, encoder.size, torch.device("cpu"))
    whole = whole_tiles(TILES)
    shape = (len(stacks.location_ids), len(PERIODS), TILES, encoder.features)
    features = np.empty(shape, dtype=np.float32)
    for i, location_id in enumerate(stacks.location_ids.tolist()):
        for p, period in enumerate(PERIODS):
            tiles = [
                dataset.read_member(location_id, period, member.suffix)[:, list(member.channels)]
                for member in stacks.members
            ]
            views = augment([torch.from_numpy(x) for x in tiles], whole)
            features[i, p] = encoder.network(views).numpy()
    return features
