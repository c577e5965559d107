"""The locations table as a file: written, read back, and read from other tools."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely

from caco_data.errors import InputError
from caco_data.sampling.location_files import read_locations, write_locations
from caco_data.sampling.locations import LocationTable, extend, sample_locations
from caco_data.sampling.settings import SampleSettings

FORMATS = ["parquet", "geojson", "gpkg", "csv"]


@cache
def sampled(strategy: str = "caco", seed: int = 1) -> LocationTable:
    return sample_locations(SampleSettings(seed=seed, strategy=strategy), 50)  # type: ignore[arg-type]


def plain(**columns: object) -> gpd.GeoDataFrame:
    points = gpd.points_from_xy([2.2, -58.4, 179.9], [41.4, -34.6, 65.0])
    return gpd.GeoDataFrame(columns, geometry=points, crs=4326)


@pytest.mark.parametrize("strategy", ["caco", "uniform"])
@pytest.mark.parametrize("suffix", FORMATS)
def test_tables_are_read_back_from_every_format(tmp_path: Path, suffix: str, strategy: str) -> None:
    path, table = tmp_path / f"locations.{suffix}", sampled(strategy)
    write_locations(table, path)
    again = read_locations(path)
    for name in ("location_id", "longitude", "latitude", "utm_epsg"):
        np.testing.assert_array_equal(getattr(again, name), getattr(table, name))
    assert again.metadata == table.metadata
    if strategy == "caco":
        for name in ("city", "country", "city_population", "redraws"):
            assert again.table[name].to_pylist() == table.table[name].to_pylist(), name
        distances = table.table["city_distance_m"].to_pylist()
        # pandas 2 rounds the last bit of numbers in CSV.
        assert again.table["city_distance_m"].to_pylist() == pytest.approx(distances, rel=1e-15)
    assert extend(again.metadata, 60).table.slice(0, 50).equals(table.table)
    extra = ["locations.csv.json"] if suffix == "csv" else []
    assert sorted(file.name for file in tmp_path.iterdir()) == [path.name, *extra]


@pytest.mark.parametrize("suffix", ["parquet", "geojson", "gpkg"])
def test_geopandas_reads_the_files(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"locations.{suffix}"
    write_locations(sampled(), path)
    read = gpd.read_parquet if suffix == "parquet" else gpd.read_file
    frame = read(path)
    assert frame.crs.to_epsg() == 4326
    np.testing.assert_array_equal(frame.geometry.x, sampled().longitude)
    np.testing.assert_array_equal(frame.geometry.y, sampled().latitude)
    assert frame["city"].tolist() == sampled().table["city"].to_pylist()


def test_the_same_table_is_the_same_file(tmp_path: Path) -> None:
    for name in ("a.parquet", "b.parquet"):
        write_locations(sample_locations(SampleSettings(), 30), tmp_path / name)
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


@pytest.mark.parametrize("suffix", FORMATS)
def test_other_locations_are_overwritten_only_on_request(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"l.{suffix}"
    write_locations(sampled(), path)
    write_locations(sampled(), path)  # the same may be written again
    with pytest.raises(InputError, match="contains other locations"):
        write_locations(sampled(seed=2), path)
    assert read_locations(path).metadata["seed"] == 1
    write_locations(sampled(seed=2), path, overwrite=True)
    assert read_locations(path).metadata["seed"] == 2
    path.write_bytes(b"unrelated text")
    with pytest.raises(InputError, match="--overwrite"):
        write_locations(sampled(), path)
    assert path.read_bytes() == b"unrelated text"


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "l.parquet").mkdir()
    with pytest.raises(OSError):
        write_locations(sampled(), tmp_path / "l.parquet", overwrite=True)
    assert [file.name for file in tmp_path.iterdir()] == ["l.parquet"]


def test_unknown_suffixes_and_missing_folders_are_errors(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"suffix '.txt'"):
        write_locations(sampled(), tmp_path / "l.txt")
    with pytest.raises(InputError, match="No such folder"):
        write_locations(sampled(), tmp_path / "none" / "l.parquet")


@pytest.mark.parametrize("suffix", FORMATS)
def test_points_without_columns_get_ids_and_zones(tmp_path: Path, suffix: str) -> None:
    path, frame = tmp_path / f"points.{suffix}", plain()
    if suffix == "csv":
        pd.DataFrame({"longitude": frame.geometry.x, "latitude": frame.geometry.y}).to_csv(
            path, index=False
        )
    elif suffix == "parquet":
        frame.to_parquet(path)
    else:
        frame.to_file(path)
    locations = read_locations(path)
    assert locations.location_id.tolist() == [0, 1, 2]
    assert locations.utm_epsg.tolist() == [32631, 32721, 32660]
    assert locations.metadata == {}
    assert {"location_id", "utm_epsg", "geometry"} <= set(locations.table.column_names)


def test_other_columns_are_kept_and_rows_are_sorted_by_id(tmp_path: Path) -> None:
    path = tmp_path / "points.gpkg"
    plain(location_id=[30, 10, 20], note=["a", "b", "c"]).to_crs(3857).to_file(path)
    locations = read_locations(path)
    assert locations.location_id.tolist() == [10, 20, 30]
    np.testing.assert_allclose(locations.longitude, [-58.4, 179.9, 2.2], atol=1e-9)
    assert locations.table["note"].to_pylist() == ["b", "c", "a"]
    assert locations.table["location_id"].to_pylist() == [10, 20, 30]


def test_an_existing_utm_zone_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "points.parquet"
    plain(utm_epsg=[32632, 32721, 32601]).to_parquet(path)
    assert read_locations(path).utm_epsg.tolist() == [32632, 32721, 32601]


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (plain(location_id=[1, 2, 2]), "repeated"),
        (plain(location_id=[1, -2, 2]), "negative"),
        (plain(location_id=["a", "b", "c"]), "not an integer"),
        (plain(location_id=[0.5, 1.0, 2.0]), "not an integer"),
        (plain(utm_epsg=[4326, 32631, 32631]), "utm_epsg"),
        (plain().set_geometry([shapely.box(0, 0, 1, 1)] * 3), "not a point"),
        (plain().set_geometry([shapely.Point(0, 0), shapely.Point(0, 89), shapely.Point(1, 1)]),
         "row 1 is at .*outside the UTM zones"),
        (plain().iloc[:0], "the file is empty"),
        (plain().set_crs(None, allow_override=True), "no CRS"),
    ],
)  # fmt: skip
def test_invalid_tables(tmp_path: Path, frame: gpd.GeoDataFrame, message: str) -> None:
    path = tmp_path / "foreign.parquet"
    frame.to_parquet(path)
    with pytest.raises(InputError, match=message) as caught:
        read_locations(path)
    assert "foreign.parquet" in str(caught.value)


def test_invalid_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such locations file"):
        read_locations(tmp_path / "none.parquet")
    for suffix in FORMATS:
        path = tmp_path / f"rubbish.{suffix}"
        path.write_bytes(b"\x00\x01 no table")
        with pytest.raises(InputError, match=f"rubbish.{suffix}"):
            read_locations(path)
    short = tmp_path / "short.csv"
    short.write_text("longitude,name\n1,a\n")
    with pytest.raises(InputError, match="No column latitude"):
        read_locations(short)


def test_metadata_that_are_not_an_object_are_ignored(tmp_path: Path) -> None:
    path = tmp_path / "l.csv"
    write_locations(sampled(), path)
    path.with_name("l.csv.json").write_text(json.dumps([1, 2]))
    assert read_locations(path).metadata == {}
