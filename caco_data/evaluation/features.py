"""Features of a data set's tiles, by an encoder that a run has saved."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from caco_data.dataset.reader import Dataset
from caco_data.errors import InputError
from caco_data.training.augment import Augmenter, whole_tiles
from caco_data.training.models.weights import TrainedEncoder
from caco_data.types import PERIODS, TILES


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
