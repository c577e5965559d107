"""Features of the tiles of a data set, computed by a trained encoder."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from caco_data.dataset.reader import Dataset
from caco_data.errors import InputError
from caco_data.training.augment import Augmenter, identity_parameters
from caco_data.training.models.weights import TrainedEncoder
from caco_data.types import PERIODS, TILES


@torch.no_grad()
def embed(dataset: Dataset, encoder: TrainedEncoder) -> NDArray[np.float32]:
    """Compute the features of every tile.

    Parameters
    ----------
    dataset : Dataset
        Data set with the bands of the encoder, as uint16 or uint8.
    encoder : TrainedEncoder
        Encoder on the CPU.

    Returns
    -------
    ndarray of float32, shape (L, 2, 5, F)
        Axes: location in ascending order of ids, period (early, late), tile, feature.

    Raises
    ------
    InputError
        When a band is missing.
    DatasetError
        When the bytes of a tile do not match the index.
    """
    stacks = dataset.stacks(encoder.bands)
    if stacks.bands != encoder.bands:
        raise InputError(
            f"The encoder requires the bands {', '.join(encoder.bands)} in this order",
            dataset.root,
            f"The data set has {', '.join(stacks.bands)}",
        )
    eight_bit = stacks.dtype == np.uint8
    augment = Augmenter(encoder.bands, eight_bit, encoder.size, torch.device("cpu"))
    whole = identity_parameters(TILES)
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
