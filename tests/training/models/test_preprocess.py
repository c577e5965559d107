from __future__ import annotations

import warnings
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from caco_data.errors import InputError
from caco_data.sentinel2 import ALL_BANDS, BAND_PIXEL_M
from caco_data.training.augment import Augmenter, identity_parameters
from caco_data.training.band_scaling import band_scaling
from caco_data.training.models.card import EncoderCard, band_input
from caco_data.training.models.preprocess import Preprocess, band_name

torch.set_num_threads(1)
CPU = torch.device("cpu")


def preprocess_of(*bands: str, size: int = 32) -> Preprocess:
    inputs = tuple(band_input(name, *band_scaling(name)) for name in bands)
    return Preprocess(EncoderCard("resnet18", 512, inputs, size))


def random_dn(*shape: int) -> np.ndarray[Any, np.dtype[np.uint16]]:
    return np.random.default_rng(0).integers(0, 9000, shape, dtype=np.uint16)


def trained_input(tiles: list[np.ndarray[Any, Any]], bands: list[str], size: int) -> Tensor:
    """The input that training computes for whole tiles."""
    augment = Augmenter(bands, tiles[0].dtype == np.uint8, size, CPU)
    return augment([torch.from_numpy(x) for x in tiles], identity_parameters(len(tiles[0])))


@pytest.mark.parametrize("dtype", ["uint16", "uint8"])
@pytest.mark.parametrize("size", [32, 264, 300])
def test_tiles_become_the_input_of_training(dtype: str, size: int) -> None:
    bands = ["B4", "B3", "B2", "B8"]
    tiles = (random_dn(2, 4, 264, 264) / (1 if dtype == "uint16" else 36)).astype(dtype)
    wanted = trained_input([tiles], bands, size)
    preprocess = preprocess_of(*bands, size=size)
    for images in (tiles, torch.from_numpy(tiles)):
        torch.testing.assert_close(preprocess(images), wanted, rtol=0, atol=1e-6)
    torch.testing.assert_close(preprocess(tiles[0]), wanted[:1], rtol=0, atol=1e-6)
    order = [3, 1, 0, 2]
    shuffled = preprocess(tiles[:, order], [bands[i] for i in order])
    torch.testing.assert_close(shuffled, wanted, rtol=0, atol=1e-6)


def test_bands_of_all_pixel_sizes_become_the_input_of_training() -> None:
    fine, coarse, coarsest = ([b for b in ALL_BANDS if BAND_PIXEL_M[b] == m] for m in (10, 20, 60))
    tiles = [random_dn(2, len(g), 264 * 10 // m, 264 * 10 // m)
             for g, m in ((fine, 10), (coarse, 20), (coarsest, 60))]  # fmt: skip
    stored = fine + coarse + coarsest
    wanted = trained_input(tiles, stored, 32)
    preprocess = preprocess_of(*stored)
    torch.testing.assert_close(preprocess(tiles, stored), wanted, rtol=0, atol=1e-6)
    layers = {b: x[:, i] for g, x in zip((fine, coarse, coarsest), tiles, strict=True)
              for i, b in enumerate(g)}  # fmt: skip
    by_product = {b: layers[b] for b in ALL_BANDS}
    torch.testing.assert_close(preprocess(by_product), wanted, rtol=0, atol=1e-6)


def test_units() -> None:
    dn = random_dn(1, 3, 64, 64)
    preprocess = preprocess_of("B4", "B3", "B2")
    wanted = preprocess(dn)
    reflectance = dn.astype(np.float64) / 10000
    torch.testing.assert_close(
        preprocess(reflectance, unit="reflectance"), wanted, atol=1e-5, rtol=0
    )
    torch.testing.assert_close(preprocess(dn.astype(">i4")), wanted, atol=1e-6, rtol=0)
    picture = np.full((64, 64, 3), 51, dtype=np.uint8)  # height, width, channels
    picture.flags.writeable = False
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        red = preprocess(picture, unit="display")[0, 0]
    torch.testing.assert_close(red, torch.full((32, 32), (0.2 - 0.485) / 0.229))


def test_data_arrays_are_selected_by_their_band_coordinate() -> None:
    """The parts of xarray's interface that are used; xarray is not required."""
    dn = random_dn(4, 64, 64)
    names = np.array(["B08", "B04", "green", "B02"], dtype=object)

    class DataArray:
        dims = ("band", "y", "x")
        coords = {"band": SimpleNamespace(dtype=names.dtype, values=names)}  # noqa: RUF012

        def transpose(self, *dims: str) -> Any:
            assert dims == self.dims
            return SimpleNamespace(values=dn, shape=dn.shape)

    preprocess = preprocess_of("B4", "B3", "B2")
    wanted = preprocess(dn[1:])
    torch.testing.assert_close(preprocess(DataArray()), wanted)
    with pytest.raises(InputError, match="no band B8A"):
        preprocess_of("B8A")(DataArray())


def test_xarray() -> None:
    xarray = pytest.importorskip("xarray")
    dn = random_dn(2, 4, 64, 64)
    array = xarray.DataArray(
        dn, dims=("time", "band", "y", "x"), coords={"band": ["nir", "red", "green", "blue"]}
    )
    preprocess = preprocess_of("B4", "B3", "B2")
    wanted = preprocess(dn[:, 1:])
    torch.testing.assert_close(preprocess(array), wanted)
    torch.testing.assert_close(preprocess(array.to_dataset("band")), wanted)
    torch.testing.assert_close(preprocess(array.transpose("y", "x", "band", "time")), wanted)


@pytest.mark.parametrize(
    ("images", "named", "words"),
    [
        (np.zeros((2, 8, 8), np.uint16), {}, "2 channels, but 3 bands"),
        (np.zeros((3, 8, 8), np.uint16), {"bands": ["B4", "B3", "B8"]}, "no band B2"),
        (np.zeros((8, 8), np.uint16), {}, "shape (8, 8)"),
        (np.full((3, 8, 8), np.nan), {}, "NaN"),
        (np.full((3, 8, 8), 0.3), {}, "unit='reflectance'"),
        (np.zeros((3, 8, 8), np.uint16), {"unit": "percent"}, "Unknown unit 'percent'"),
        (np.full((3, 8, 8), "x"), {}, "Use numbers"),
        ({"B4": np.zeros((8, 8)), "red": np.zeros((8, 8))}, {}, "no band B3, B2"),
    ],
)
def test_unsuitable_images_are_refused(images: Any, named: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError) as error:
        preprocess_of("B4", "B3", "B2")(images, **named)
    assert words in str(error.value)


def test_names_of_bands() -> None:
    assert [band_name(n) for n in ("B04", "b4", "red", "B8A", "b08", "nir08", "SCL")] == [
        "B4", "B4", "B4", "B8A", "B8", "B8A", "SCL",
    ]  # fmt: skip
