from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

import caco_data
from caco_data.dataset.tiles import read_tiles
from caco_data.download.settings import FetchSettings, SceneSettings
from caco_data.errors import InputError
from caco_data.exchange.readers import ReadableDataset
from tests.support.plain_source import make_dataset, outcomes
from tests.support.training_data import make_training_set

#: Bands of three pixel sizes, not in the order of the members.
BANDS = ("B1", "B4", "B5", "B2")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> ReadableDataset:
    root = str(tmp_path_factory.mktemp("data") / "set")
    fetch = FetchSettings(SceneSettings(), BANDS)
    make_dataset(root, outcomes(2, fetch=fetch), fetch)
    return caco_data.open_dataset(root)  # type: ignore[no-any-return]


def test_bands_of_members_in_stored_order(data: ReadableDataset) -> None:
    assert data.member_bands == {"": ("B4", "B2"), "20": ("B5",), "60": ("B1",)}
    assert data.meta["grid"]["members"] == {
        "early": ["B4", "B2"], "early20": ["B5"], "early60": ["B1"],
        "late": ["B4", "B2"], "late20": ["B5"], "late60": ["B1"],
    }  # fmt: skip


def test_tiles_have_the_bands_in_the_requested_order(data: ReadableDataset) -> None:
    tiles = read_tiles(data, 1, "late", ("B5", "B2", "B4"))
    assert tiles.shape == (5, 3, 264, 264)
    fine = data.read_member(1, "late")
    coarse = data.read_member(1, "late", "20")
    assert (tiles[:, 1] == fine[:, 1]).all()
    assert (tiles[:, 2] == fine[:, 0]).all()
    assert (tiles[:, 0, ::2, ::2] == coarse[:, 0]).all()
    assert (tiles[:, 0, 1::2, 1::2] == coarse[:, 0]).all()
    assert read_tiles(data, 1, "late", ("B5",)).shape == (5, 1, 132, 132)
    with pytest.raises(InputError, match="no band B8"):
        read_tiles(data, 1, "late", ("B8",))


@pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning")  # in rioxarray
def test_xarray_has_coordinates_and_crs(data: ReadableDataset) -> None:
    found = data.xarray(1)
    assert found["reflectance"].dims == ("period", "time", "band", "y", "x")
    assert found["band"].values.tolist() == list(BANDS)
    row = (
        data.index.read()
        .to_pandas()
        .query("location_id == 1 and period == 'late' and t == 2")
        .iloc[0]
    )
    here = found.sel(period="late", time=2)
    assert here["acquired"].values == np.datetime64(row["acquired"].tz_localize(None))
    assert str(here["image_id"].values) == row["image_id"]
    assert (here["reflectance"].values == read_tiles(data, 1, "late")[2]).all()
    left, top = row["affine"][2], row["affine"][5]
    assert found["x"].values[:2].tolist() == [left + 5, left + 15]
    assert found["y"].values[0] == top - 5
    assert found["x_scl"].values[0] == left + 10
    assert found["wavelength_nm"].values.tolist() == [442.7, 664.6, 704.1, 492.7]
    rioxarray = pytest.importorskip("rioxarray")
    assert rioxarray
    assert found["reflectance"].rio.crs.to_epsg() == 32631
    assert found["reflectance"].rio.transform()[:6] == (10, 0, left, 0, -10, top)
    with pytest.raises(InputError, match="No location 99"):
        data.xarray(99)


def test_torch_samples_in_worker_processes(tmp_path: Path) -> None:
    data = caco_data.open_dataset(make_training_set(tmp_path / "set", 4))
    samples = data.torch(bands=("B2", "B4"))
    assert len(samples) == 4
    early = data.read_member(10, "early")
    assert (samples[1]["early"].numpy() == early[:, [2, 0]]).all()
    again = pickle.loads(pickle.dumps(samples))
    assert torch.equal(again[-1]["late"], samples[3]["late"])
    with pytest.raises(IndexError):
        samples[4]
    batches = list(DataLoader(samples, batch_size=2, num_workers=1))
    assert batches[1]["location_id"].tolist() == [20, 30]
    assert batches[0]["early"].shape == (2, 5, 2, 264, 264)


def test_torchgeo_samples(tmp_path: Path) -> None:
    data = caco_data.open_dataset(make_training_set(tmp_path / "set", 2))
    samples = data.torchgeo(transforms=lambda sample: {**sample, "seen": True})
    assert len(samples) == 20
    sample = samples[17]  # the third late tile of the second location
    assert (sample["location_id"], sample["period"], sample["t"]) == (10, "late", 2)
    assert sample["image"].dtype == torch.float32
    assert (sample["image"].numpy() == data.read_member(10, "late")[2]).all()
    assert sample["crs"].to_epsg() == 32631
    assert sample["bounds"].tolist() == [500_000, 5_000_000 - 2640, 502_640, 5_000_000]
    assert sample["transform"].tolist() == [10, 0, 500_000, 0, -10, 5_000_000]
    assert sample["seen"]
