"""Features of the tiles of a data set, computed by a trained encoder."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from caco_data.dataset.reader import Dataset
from caco_data.training.models.weights import LoadedEncoder


@torch.no_grad()
def embed(dataset: Dataset, encoder: LoadedEncoder) -> NDArray[np.float32]:
    """Compute the features of every tile.

    Parameters
    ----------
    dataset : Dataset
        Data set with the bands of the encoder, as uint16 or uint8.
    encoder : LoadedEncoder
        Encoder on the CPU.

    Returns
    -------
    ndarray of float32, shape (L, P, T, F)
        Axes: location in ascending order of ids, period, tile, feature.

    Raises
    ------
    InputError
        When a band is missing.
    DatasetError
        When the bytes of a tile do not match the index.
    """
    module, preprocess, card = encoder
    stacks = dataset.stacks(card.band_names)
    bands = [band for member in stacks.members for band in member.bands]
    layout = dataset.layout
    shape = (len(stacks.location_ids), len(layout.periods), layout.tiles, card.features)
    features = np.empty(shape, dtype=np.float32)
    for i, location_id in enumerate(stacks.location_ids.tolist()):
        for p, period in enumerate(layout.periods):
            tiles = [
                dataset.read_member(location_id, period, member.suffix)[:, list(member.channels)]
                for member in stacks.members
            ]
            features[i, p] = module(preprocess(tiles, bands)).numpy()
    return features
