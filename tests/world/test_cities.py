"""The bundled city table, and user-supplied tables in every format."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest

from caco_data.errors import InputError
from caco_data.world.cities import load_cities


def frame() -> gpd.GeoDataFrame:
    return gpd.GeoDataFrame(
        {
            "name": ["Low", "Walvis Bay", "Ærø", "Twin"],
            "country": ["DE", "NA", "DK", "DE"],
            "population": [10, 2_000, 300, 300],
            "geonameid": [7, 8, 9, 5],
        },
        geometry=gpd.points_from_xy([1.5, 14.5, 10.4, 1.0], [50.25, -22.9, 54.9, 51.0]),
        crs=4326,
    )


def test_bundled_cities_are_geonames() -> None:
    cities = load_cities()
    assert len(cities) == 34_006
    assert cities.name[0] == "Shanghai"
    assert cities.country[0] == "CN"
    assert (np.diff(cities.population) <= 0).all()
    assert load_cities(top=10_000).population[-1] == 62_000
    paris = np.flatnonzero((cities.name == "Paris") & (cities.country == "FR"))[0]
    assert cities.longitude[paris] == pytest.approx(2.3488, abs=0.01)
    assert cities.latitude[paris] == pytest.approx(48.8534, abs=0.01)


@pytest.mark.parametrize("name", ["c.parquet", "c.geojson", "c.gpkg", "c.shp", "c.csv", "m.gpkg"])
def test_user_cities_in_every_format(tmp_path: Path, name: str) -> None:
    path, table = tmp_path / name, frame()
    if name.endswith("csv"):
        flat = pd.DataFrame(table.drop(columns="geometry"))
        flat.assign(longitude=table.geometry.x, latitude=table.geometry.y).to_csv(path, index=False)
    elif name.endswith("parquet"):
        table.to_parquet(path)
    else:
        table.to_crs(3857 if name.startswith("m") else 4326).to_file(path)
    cities = load_cities(path)
    assert cities.name.tolist() == ["Walvis Bay", "Twin", "Ærø", "Low"]  # ties by id
    assert cities.country.tolist() == ["NA", "DE", "DK", "DE"]  # Namibia is not a missing value
    assert cities.population.tolist() == [2_000, 300, 300, 10]
    assert cities.geonameid.tolist() == [8, 5, 9, 7]
    np.testing.assert_allclose(cities.longitude, [14.5, 1.0, 10.4, 1.5], atol=1e-9)
    np.testing.assert_allclose(cities.latitude, [-22.9, 51.0, 54.9, 50.25], atol=1e-9)
    assert load_cities(path, top=1).name.tolist() == ["Walvis Bay"]


def test_country_and_id_may_be_missing(tmp_path: Path) -> None:
    path = tmp_path / "c.parquet"
    frame()[["name", "population", "geometry"]].to_parquet(path)
    cities = load_cities(path)
    assert cities.country.tolist() == ["", "", "", ""]
    assert cities.geonameid.tolist() == [1, 2, 3, 0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda table: table.drop(columns="population"), "no column population"),
        (lambda table: table.drop(columns="name"), "no column name"),
        (lambda table: table.assign(population=["a", "b", "c", "d"]), "Cannot use"),
        (lambda table: table.assign(population=[1.0, np.nan, 2.0, 3.0]), "population is missing"),
        (lambda table: table.set_geometry(table.buffer(1)), "not a point"),
        (lambda table: table.set_geometry(table.translate(0, 90)), "row 0 has no longitude"),
        (lambda table: table.set_crs(None, allow_override=True), "no CRS"),
        (lambda table: table.iloc[:0], "is empty"),
    ],
)
@pytest.mark.filterwarnings("ignore:Geometry is in a geographic CRS")
def test_unusable_cities(tmp_path: Path, change: object, message: str) -> None:
    path = tmp_path / "c.parquet"
    change(frame()).to_parquet(path)  # type: ignore[operator]
    with pytest.raises(InputError, match=message) as caught:
        load_cities(path)
    assert str(path) in str(caught.value)


def test_invalid_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such city file"):
        load_cities(tmp_path / "none.parquet")
    for name in ("c.parquet", "c.geojson", "c.csv"):
        (tmp_path / name).write_bytes(b"\x00\x01 no table")
        with pytest.raises(InputError, match=r"city|column"):
            load_cities(tmp_path / name)
