"""Small folders of labelled images in the formats that the tasks read."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

from caco_data.training.band_scaling import band_scaling
from caco_data.training.models.card import CARD_KEY, EncoderCard, band_input
from caco_data.training.models.encoder import make_encoder

#: Colour (red, green, blue) of the images of each class.
CLASSES = {"Forest": (40, 80, 45), "River": (30, 60, 110), "Town": (150, 140, 130)}


def write_picture(path: Path, values: NDArray[np.integer], driver: str = "PNG") -> None:
    """Write an image (C, H, W)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings(), _open(path, values, driver) as file:
        file.write(values)


def _open(path: Path, values: NDArray[np.integer], driver: str) -> Any:
    warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
    count, height, width = values.shape
    return rasterio.open(
        path, "w", driver=driver, count=count, height=height, width=width, dtype=values.dtype
    )


def make_pictures(
    root: Path, per_class: int, side: int = 32, seed: int = 0, spread: float = 60
) -> Path:
    """Write noisy images of one colour per class, in one folder per class; return the folder."""
    rng = np.random.default_rng(seed)
    for name, colour in CLASSES.items():
        for i in range(per_class):
            base = np.array(colour)[:, None, None] + rng.normal(0, spread / 2, size=(3, 1, 1))
            values = base + rng.normal(0, spread / 4, size=(3, side, side))
            picture = np.clip(values, 0, 255).astype(np.uint8)
            write_picture(root / name / f"{name}_{i + 1}.png", picture)
    return root


def save_random_encoder(
    path: Path, bands: tuple[str, ...] = ("B4", "B3", "B2"), seed: int = 0, size: int = 32
) -> Path:
    """Write an encoder with random weights and its card."""
    torch.manual_seed(seed)
    network, features = make_encoder("resnet18", len(bands), size)
    card = EncoderCard(
        "resnet18", features, tuple(band_input(name, *band_scaling(name)) for name in bands), size
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    weights = {name: x.contiguous() for name, x in network.state_dict().items()}
    save_file(weights, path, {"format": "pt", CARD_KEY: card.to_json()})
    return path
