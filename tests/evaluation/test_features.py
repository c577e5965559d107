from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from caco_data.dataset.reader import open_dataset
from caco_data.errors import InputError
from caco_data.evaluation.features import embed
from caco_data.evaluation.probes import change_ratio
from caco_data.training.band_scaling import NORMALISATION, STRETCH
from caco_data.training.models.encoder import make_encoder
from caco_data.training.models.weights import load_encoder
from caco_data.training.outputs import save_encoder
from caco_data.training.run_folder import RunFolder
from caco_data.training.settings import TrainSettings
from tests.support.training_data import is_changed, make_training_set

torch.set_num_threads(1)

LOCATIONS = 6
#: A quarter of the tile's side: a sixteenth of the encoder's time.
SIZE = 66


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_training_set(tmp_path_factory.mktemp("data") / "set", LOCATIONS)


def save(data: Path, out: Path, size: int = SIZE) -> Path:
    settings = TrainSettings(data=str(data), out=str(out), crop_size=size)
    dataset = open_dataset(data)
    torch.manual_seed(0)
    network, features = make_encoder("resnet18", len(dataset.bands), size)
    folder = RunFolder(settings, dataset)
    save_encoder(folder, dataset, network, features)
    return out / "encoder.safetensors"


def test_every_tile_is_embedded_whole(tmp_path: Path) -> None:
    data = make_training_set(tmp_path / "set", 2)
    encoder = load_encoder(save(data, tmp_path / "run", 264))
    dataset = open_dataset(data)
    features = embed(dataset, encoder)
    assert features.shape == (2, 2, 5, 512)
    # The fourth late tile of the second location, computed without the augmenter.
    tile = dataset.read_member(10, "late")[3]
    image = torch.empty(1, 3, 264, 264)
    for i, band in enumerate(dataset.bands):
        (low, high), (mean, deviation) = STRETCH[band], NORMALISATION[band]
        level = np.clip((tile[i].astype(np.float32) - low) / (high - low), 0, 1)
        image[0, i] = torch.from_numpy((level - mean) / deviation)
    with torch.no_grad():
        expected = encoder.module(image)[0]
    np.testing.assert_allclose(features[1, 1, 3], expected, rtol=1e-3, atol=1e-3)


def test_features_of_more_bands_in_16_bits(tmp_path: Path) -> None:
    data = make_training_set(tmp_path / "set", 2, ("B4", "B3", "B2", "B8"), dtype="uint16")
    encoder = load_encoder(save(data, tmp_path / "run"))
    assert encoder.card.band_names == ("B4", "B3", "B2", "B8")
    assert embed(open_dataset(data), encoder).shape == (2, 2, 5, 512)
    with pytest.raises(InputError, match="no band B8"):
        embed(open_dataset(make_training_set(tmp_path / "rgb", 2)), encoder)


def test_change_ratio_is_larger_for_changed_locations(data: Path, tmp_path: Path) -> None:
    """With any untrained weights the ratios differ by a factor of 8 or more; 2 is required."""
    encoder = load_encoder(save(data, tmp_path / "run"))
    ratio = change_ratio(embed(open_dataset(data), encoder))
    changed = np.array([is_changed(10 * i) for i in range(LOCATIONS)])
    assert ratio[changed].min() > 2 * ratio[~changed].max()
