"""Exports and readers of data sets with other periods and sizes of patches."""

from __future__ import annotations

from pathlib import Path

import pytest

import caco_data
from caco_data.dataset.reader import Dataset, open_dataset
from caco_data.dataset.tiles import tile_rows
from caco_data.download.settings import FetchSettings, SceneSettings
from caco_data.exchange.geotiff import export_geotiff
from caco_data.exchange.stac import patch_ring
from caco_data.exchange.vrt import export_vrt
from tests.support.plain_source import make_dataset, outcomes


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    scenes = SceneSettings(periods=3, tiles_per_period=2, gap_years=1)
    fetch = FetchSettings(scenes, ("B4", "B11", "B1"), patch_px=132)
    root = tmp_path_factory.mktemp("layout") / "dataset"
    make_dataset(str(root), outcomes(2, fetch=fetch), fetch)
    return open_dataset(root)


def test_geotiff_and_vrt(dataset: Dataset, tmp_path: Path) -> None:
    import rasterio

    export_geotiff(dataset, tmp_path / "tif", 1)
    export_vrt(dataset, tmp_path / "vrt", 1)
    rows = tile_rows(dataset, 1)
    files = sorted((tmp_path / "tif" / "000000001").iterdir())
    assert len(files) == len(rows) == 6
    middle = next(path for path in files if path.name.startswith("middle_1"))
    with rasterio.open(middle) as tif:
        assert (tif.width, tif.height, tif.count) == (132, 132, 4)
        assert tif.res == (10.0, 10.0)
        red = tif.read(1)
        with rasterio.open(tmp_path / "vrt" / "000000001" / f"{middle.stem}.vrt") as vrt:
            assert (vrt.read(1) == red).all()
            assert vrt.transform == tif.transform
    with rasterio.open(tmp_path / "vrt" / "000000001" / f"{middle.stem}_60m.vrt") as vrt:
        assert (vrt.width, vrt.res) == (22, (60.0, 60.0))
    longitudes = [point[0] for point in patch_ring(rows[0], dataset.layout.patch_m)]
    assert 0.016 < max(longitudes) - min(longitudes) < 0.018  # 1,320 m at 45 degrees north


def test_readers(dataset: Dataset) -> None:
    opened = caco_data.open_dataset(dataset.root)
    torch_tiles = opened.torch(layout="tile")
    assert len(torch_tiles) == 12
    sample = torch_tiles[9]
    assert (sample["location_id"], sample["period"], sample["t"]) == (1, "middle", 1)
    scene = opened.xarray(1)
    assert dict(scene["reflectance"].sizes) == {
        "period": 3, "time": 2, "band": 3, "y": 132, "x": 132,
    }  # fmt: skip
    assert scene["period"].values.tolist() == ["early", "middle", "late"]
    assert float(scene["x"][1] - scene["x"][0]) == 10.0
