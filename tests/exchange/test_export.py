from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
import rasterio.warp

import caco_data
from caco_data.dataset.tiles import read_tiles
from caco_data.download.settings import FetchSettings, SceneSettings
from caco_data.exchange.export import ExportSettings, export_dataset
from caco_data.exchange.readers import ReadableDataset
from tests.conftest import Run
from tests.support.plain_source import make_dataset, outcomes
from tests.support.training_data import make_training_set

BANDS = ("B1", "B4", "B5", "B2")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> ReadableDataset:
    root = str(tmp_path_factory.mktemp("data") / "set")
    fetch = FetchSettings(SceneSettings(), BANDS)
    make_dataset(root, outcomes(3, fetch=fetch), fetch)
    return caco_data.open_dataset(root)  # type: ignore[no-any-return]


def expected_dn(grid_left: float, grid_top: float, band: int) -> np.ndarray:
    """DN of the plain source at 10 m: a function of the map coordinates and the band."""
    row, col = np.indices((264, 264))
    place = (grid_left // 10 + col) * 3 + (grid_top // 10 - row) * 5
    return 1 + (place + band * 1000) % 9999


def test_geotiff_files_have_position_bands_dates_and_classes(
    run: Run, data: ReadableDataset, tmp_path: Path
) -> None:
    result = run("export", data.root, tmp_path / "out", "--limit", 2)
    assert result.exit_code == 0, result.stderr
    files = sorted((tmp_path / "out" / "000000001").iterdir())
    assert len(files) == 10
    row = (
        data.index.read()
        .to_pandas()
        .query("location_id == 1 and period == 'early' and t == 0")
        .iloc[0]
    )
    with rasterio.open(files[0]) as file:
        assert file.name.endswith(f"early_0_{row['acquired']:%Y%m%d}.tif")
        assert file.descriptions == (*BANDS, "SCL")
        assert file.crs.to_epsg() == 32631
        assert list(file.transform)[:6] == list(row["affine"])
        assert file.scales[:2] == (1e-4, 1e-4)
        assert file.tags()["image_id"] == row["image_id"]
        assert file.tags(2)["wavelength_nm"] == "664.6"
        pixels = file.read()
    left, top = row["affine"][2], row["affine"][5]
    assert (pixels[1] == expected_dn(left, top, 3)).all()  # B4 is the fourth L2A band
    assert (pixels[:4] == read_tiles(data, 1, "early")[0]).all()
    assert (pixels[4] == 4).all()


def test_vrt_files_read_the_shards(data: ReadableDataset, tmp_path: Path) -> None:
    assert export_dataset(data, str(tmp_path / "out"), ExportSettings("vrt")) == 3
    for suffix, ending, names in (("", "", ("B4", "B2")), ("20", "_20m", ("B5",))):
        (path,) = (tmp_path / "out" / "000000002").glob(f"late_3_*[0-9]{ending}.vrt")
        with (
            rasterio.Env(GDAL_VRT_RAWRASTERBAND_ALLOWED_SOURCE="ALL"),
            rasterio.open(path) as file,
        ):
            assert file.descriptions == names
            assert file.crs.to_epsg() == 32631
            assert (file.read() == data.read_member(2, "late", suffix)[3]).all()  # type: ignore[arg-type]


def test_the_authors_layout(data: ReadableDataset, tmp_path: Path) -> None:
    export_dataset(data, str(tmp_path / "out"), ExportSettings("caco"))
    scenes = sorted((tmp_path / "out" / "000000000").iterdir())
    assert len(scenes) == 10
    with rasterio.open(scenes[9] / "B5.tif") as file:
        assert file.transform.a == 20
        assert (file.read() == data.read_member(0, "late", "20")[4]).all()


# `warnings.catch_warnings` does not protect the threads in which zarr writes.
@pytest.mark.filterwarnings("ignore:.*does not have a Zarr V3 specification")
def test_zarr_opens_with_xarray(data: ReadableDataset, tmp_path: Path) -> None:
    xarray = pytest.importorskip("xarray")
    pytest.importorskip("zarr")
    out = tmp_path / "out.zarr"
    export_dataset(data, str(out), ExportSettings("zarr"))
    assert json.loads((out / "zarr.json").read_text())["zarr_format"] == 3
    with xarray.open_zarr(out / "000000001", consolidated=False) as found:
        wanted = data.xarray(1)
        assert (found["reflectance"].values == wanted["reflectance"].values).all()
        assert (found["acquired"].values == wanted["acquired"].values).all()
        assert found["reflectance"].attrs["grid_mapping"] == "spatial_ref"


def test_stac_catalogue_is_valid(data: ReadableDataset, tmp_path: Path) -> None:
    pystac = pytest.importorskip("pystac")
    pytest.importorskip("jsonschema")
    export_dataset(data, str(tmp_path / "out"), ExportSettings("stac"))
    collection = pystac.Collection.from_file(str(tmp_path / "out" / "collection.json"))
    items = list(collection.get_items())
    assert len(items) == 30
    for thing in (collection, items[0]):
        thing.stac_extensions = []  # their schemas are on the web
        thing.validate()
    item = next(one for one in items if one.id.startswith("000000001-late_2"))
    with rasterio.open(item.assets["data"].get_absolute_href()) as file:
        assert item.properties["proj:code"] == file.crs.to_string()
        assert list(file.transform)[:6] == item.properties["proj:transform"]
        west, _, east, _ = rasterio.warp.transform_bounds(file.crs, 4326, *file.bounds)
    assert item.bbox[0] == pytest.approx(west, abs=1e-6)
    assert item.bbox[2] == pytest.approx(east, abs=1e-6)
    geopandas = pytest.importorskip("geopandas")
    pytest.importorskip("stac_geoparquet")
    table = geopandas.read_parquet(tmp_path / "out" / "items.parquet")
    assert sorted(table["id"]) == sorted(one.id for one in items)
    assert table.geometry.iloc[0].is_valid


def test_an_interrupted_export_is_resumed(data: ReadableDataset, tmp_path: Path) -> None:
    out = tmp_path / "out"

    def stop(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export_dataset(data, str(out), ExportSettings("geotiff", workers=1), stop)
    done = {p: p.stat().st_mtime_ns for p in sorted(out.iterdir()) if p.name == "000000000"}
    assert done
    (out / ".000000002.tmp").mkdir()  # as a killed process leaves it
    export_dataset(data, str(out), ExportSettings("geotiff"))
    assert not list(out.glob(".*.tmp"))
    assert sorted(p.name for p in out.iterdir() if p.is_dir()) == [f"{i:09d}" for i in range(3)]
    assert all(p.stat().st_mtime_ns == time for p, time in done.items())


def test_locations_are_selected(run: Run, data: ReadableDataset, tmp_path: Path) -> None:
    listed = tmp_path / "listed.csv"
    listed.write_text("location_id\n2\n")
    for number, (arguments, names) in enumerate((
        (("--locations", "2,0"), ["000000000", "000000002"]),
        (("--locations", listed), ["000000002"]),
        (("--where", "longitude > 1.04 and latitude < 50"), ["000000001", "000000002"]),
        (("--where", "longitude > 1.04", "--limit", 1), ["000000001"]),
    )):  # fmt: skip
        out = tmp_path / f"out{number}"
        result = run("export", data.root, out, *arguments)
        assert result.exit_code == 0, result.stderr
        assert sorted(path.name for path in out.iterdir() if path.is_dir()) == names


def test_tiles_of_one_scene_do_not_share_a_folder_of_the_authors_layout(
    run: Run, tmp_path: Path
) -> None:
    same = make_training_set(tmp_path / "same", 1)
    result = run("export", same, tmp_path / "out", "--format", "caco")
    assert result.exit_code == 2
    assert "are of one scene" in result.stderr
    assert not list((tmp_path / "out").glob("0*"))


def test_bad_input_is_one_line(run: Run, data: ReadableDataset, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "file").touch()
    used = tmp_path / "used"
    assert run("export", data.root, used, "--limit", 1).exit_code == 0
    compressed = make_training_set(tmp_path / "zstd", 1, compress="zstd")
    for arguments, words in (
        ((tmp_path / "none", tmp_path / "o"), "No data set here"),
        ((data.root, other), "contains files but no export"),
        ((data.root, used, "--format", "caco"), "contains another export"),
        ((data.root, tmp_path / "o", "--locations", "1,x"), "Not a list of locations"),
        ((data.root, tmp_path / "o", "--locations", "7"), "no complete location 7"),
        ((data.root, tmp_path / "o", "--locations", "none.csv"), "Cannot read the locations"),
        ((data.root, tmp_path / "o", "--where", "city ="), "Condition not understood"),
        ((data.root, tmp_path / "o", "--where", "latitude > 80"), "No location is selected"),
        ((compressed, tmp_path / "o", "--format", "vrt"), "compressed"),
    ):
        result = run("export", *arguments)
        assert result.exit_code == 2, result.stderr
        assert words in result.stderr
        assert result.stderr.count("\n") == 1
        assert not (tmp_path / "o").exists()
