"""What an evaluation compares: an encoder, the same network with fresh weights, simple statistics.

Each contender turns images into one vector per image. The last two are floors: an encoder that is
not better than they are has learned nothing that the task needs.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import interpolate

from caco_data.errors import InputError
from caco_data.evaluation.cache import digest
from caco_data.evaluation.image_reader import Pixels
from caco_data.training.models.card import EncoderCard
from caco_data.training.models.encoder import make_encoder
from caco_data.training.models.preprocess import Preprocess, band_name
from caco_data.training.models.weights import LoadedEncoder

#: Names of the floors in tables.
FRESH, STATISTICS = "fresh weights", "image statistics"
ADAPTED = ", BatchNorm adapted"
#: Statistics per band: mean, standard deviation, minimum and maximum.
_STATISTICS = 4


class Contender(Protocol):
    """Turns images into features."""

    @property
    def name(self) -> str:
        """Name in tables."""
        ...

    @property
    def digest(self) -> str:
        """Digest of everything that the features depend on, except the images."""
        ...

    def features(self, images: Sequence[Pixels]) -> NDArray[np.float32]:
        """Features (N, F) of N images."""
        ...


@dataclass(frozen=True)
class ImageStatistics:
    """Mean, standard deviation, minimum and maximum of each band."""

    name: str = STATISTICS
    digest: str = digest(STATISTICS, 1)

    def features(self, images: Sequence[Pixels]) -> NDArray[np.float32]:
        """Statistics (N, 4 C) of N images."""
        rows = []
        for image in images:
            x = image.values.reshape(len(image.values), -1).astype(np.float64)
            rows.append(np.stack([x.mean(1), x.std(1), x.min(1), x.max(1)], axis=1).ravel())
        return np.array(rows, dtype=np.float32)


@dataclass(frozen=True)
class Inputs:
    """How images become inputs of a network."""

    card: EncoderCard
    size: int
    """Side in pixels."""
    zscore: tuple[tuple[float, ...], tuple[float, ...]] | None = None
    """Mean and standard deviation per band of the card; None for the card's own scaling."""

    @property
    def digest(self) -> str:
        """Digest of the scaling and the size."""
        return digest(self.card.to_dict()["bands"], self.size, self.zscore)

    def __call__(self, images: Sequence[Pixels]) -> Tensor:
        """Inputs (N, C, size, size) of N images."""
        shapes = {image.values.shape for image in images}
        if len(shapes) > 1:
            return torch.cat([self([image]) for image in images])
        values = np.stack([image.values for image in images])
        first = images[0]
        if self.zscore is None:
            preprocess = Preprocess(self.card)
            return preprocess(values, first.bands, first.unit, self.size)
        x = torch.from_numpy(select_bands(values, first.bands, self.card.band_names))
        mean, std = (torch.tensor(one, dtype=torch.float32)[:, None, None] for one in self.zscore)
        x = (x - mean) / std
        size = (self.size, self.size)
        return interpolate(x, size, mode="bilinear") if x.shape[-2:] != size else x


def select_bands(
    values: NDArray[Any], bands: Sequence[str], wanted: Sequence[str]
) -> NDArray[np.float32]:
    """Bands of images (N, C, H, W) in another order, as float32.

    Raises
    ------
    InputError
        When a band is missing.
    """
    names = [band_name(name) for name in bands]
    if missing := [name for name in wanted if name not in names]:
        raise InputError(
            f"The image has no band {', '.join(missing)}",
            f"it has {', '.join(names)}",
            f"The encoder requires {', '.join(wanted)}",
        )
    return values[:, [names.index(name) for name in wanted]].astype(np.float32)


@dataclass(frozen=True)
class NetworkContender:
    """A network with its inputs."""

    name: str
    module: nn.Module
    """In evaluation mode, on the device."""
    inputs: Inputs
    device: torch.device
    weights: str
    """Digest of the weights."""

    @property
    def digest(self) -> str:
        """Digest of the weights and the inputs."""
        return digest(self.weights, self.inputs.digest)

    def features(self, images: Sequence[Pixels]) -> NDArray[np.float32]:
        """Pooled features (N, F) of N images."""
        with torch.no_grad():
            x = self.inputs(images).to(self.device)
            found: NDArray[np.float32] = self.module(x).float().cpu().numpy()
        return found


def open_device(name: str) -> torch.device:
    """Device by name; `auto` is a GPU if there is one.

    Raises
    ------
    InputError
        When there is no GPU.
    """
    found = torch.cuda.is_available()
    if name == "cuda" and not found:
        raise InputError("PyTorch finds no CUDA device", "--device cuda", "Use --device cpu")
    return torch.device("cuda" if found and name != "cpu" else "cpu")


def weights_digest(module: nn.Module) -> str:
    """SHA-256, hexadecimal, of the weights of a network."""
    found = hashlib.sha256()
    for name, x in sorted(module.state_dict().items()):
        found.update(name.encode())
        found.update(x.detach().cpu().contiguous().numpy().tobytes())
    return found.hexdigest()


def trained(
    name: str, encoder: LoadedEncoder, inputs: Inputs, device: torch.device
) -> NetworkContender:
    """The encoder to evaluate."""
    module = encoder.module.to(device)
    return NetworkContender(name, module, inputs, device, weights_digest(module))


def fresh(inputs: Inputs, device: torch.device, seed: int) -> NetworkContender:
    """The same network with the initial weights of a seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        card = inputs.card
        module, _ = make_encoder(card.architecture, len(card.bands), card.input_size)
    module = module.eval().requires_grad_(False).to(device)
    return NetworkContender(FRESH, module, inputs, device, weights_digest(module))


def adapt(contender: NetworkContender, batches: Iterable[Sequence[Pixels]]) -> NetworkContender:
    """A copy whose batch normalisation has the statistics of some images.

    Parameters
    ----------
    contender : NetworkContender
        Network with batch normalisation.
    batches : iterable of sequences of Pixels
        Images; the statistics are averages over the batches.

    Raises
    ------
    InputError
        When the network has no batch normalisation.
    """
    module = copy.deepcopy(contender.module)
    layers = [one for one in module.modules() if isinstance(one, nn.modules.batchnorm._BatchNorm)]
    if not layers:
        raise InputError(
            "The encoder has no batch normalisation", contender.name, "Omit --adapt-bn"
        )
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # the average of all batches
        layer.train()
    copied = replace(contender, name=contender.name + ADAPTED, module=module)
    for batch in batches:
        copied.features(batch)
    module.eval()
    return replace(copied, weights=weights_digest(module))
