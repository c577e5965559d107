"""The locations table: columns, metadata and extension."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
from pyproj import Geod

from caco_data import __version__
from caco_data.errors import InputError
from caco_data.grid import utm_epsg
from caco_data.sampling.locations import extend, sample_locations
from caco_data.sampling.settings import SampleSettings
from caco_data.world.cities import load_cities

COLUMNS = [
    "location_id", "city", "country", "city_population", "city_distance_m", "utm_epsg", "redraws",
    "geometry",
]  # fmt: skip


def cities_file(path: Path) -> str:
    frame = gpd.GeoDataFrame(
        {"name": ["A", "Ö"], "country": ["AT", "SE"], "population": [10, 5]},
        geometry=gpd.points_from_xy([16.4, 18.1], [48.2, 59.4]), crs=4326,
    )  # fmt: skip
    frame.to_file(path)
    return str(path)


def test_city_columns_describe_one_city() -> None:
    locations = sample_locations(SampleSettings(seed=3), 500)
    assert locations.table.column_names == COLUMNS
    assert len(locations) == locations.table.num_rows == 500
    assert locations.location_id.tolist() == list(range(500))
    np.testing.assert_array_equal(
        locations.utm_epsg, utm_epsg(locations.longitude, locations.latitude)
    )
    assert locations.table["utm_epsg"].to_pylist() == locations.utm_epsg.tolist()
    assert max(locations.table["redraws"].to_pylist()) > 0
    cities = load_cities(top=10_000)
    known: dict[tuple[str, str, int], list[tuple[float, float]]] = {}
    for name, country, people, *point in zip(
        cities.name, cities.country, cities.population, cities.longitude, cities.latitude,
        strict=True,
    ):  # fmt: skip
        known.setdefault((name, country, int(people)), []).append((point[0], point[1]))
    geod = Geod(ellps="WGS84")
    for row, lon, lat in zip(
        locations.table.to_pylist(), locations.longitude, locations.latitude, strict=True
    ):
        places = known[row["city"], row["country"], row["city_population"]]
        metres = [geod.inv(*place, lon, lat)[2] for place in places]
        assert row["city_distance_m"] == pytest.approx(min(metres), rel=1e-6)


def test_uniform_has_no_city() -> None:
    locations = sample_locations(SampleSettings(strategy="uniform"), 5)
    for name in ("city", "country", "city_population", "city_distance_m"):
        assert locations.table[name].to_pylist() == [None] * 5
    assert locations.table.column_names == COLUMNS


def test_metadata_record_the_settings() -> None:
    metadata = sample_locations(SampleSettings(seed=7, within="2,41,3,42"), 3).metadata
    assert metadata["software"] == f"caco-data {__version__}"
    assert metadata["seed"] == 7
    assert metadata["n"] == 3
    assert metadata["settings"]["within"] == "2,41,3,42"
    assert sorted(metadata["inputs"]) == ["cities", "land"]
    assert any("GeoNames" in notice for notice in metadata["notices"])
    assert any("Natural Earth" in notice for notice in metadata["notices"])


def test_user_files_have_no_licence_notice(tmp_path: Path) -> None:
    path = cities_file(tmp_path / "c.gpkg")
    locations = sample_locations(SampleSettings(cities=path, top_cities=1), 20)
    assert set(locations.table["city"].to_pylist()) == {"A"}
    assert not any("GeoNames" in notice for notice in locations.metadata["notices"])


@pytest.mark.parametrize(
    "settings",
    [SampleSettings(seed=5), SampleSettings(seed=5, no_overlap=True, within="2,41,3,42")],
)
def test_extended_tables_begin_with_the_same_rows(settings: SampleSettings) -> None:
    first = sample_locations(settings, 20)
    more = extend(first.metadata, 45)
    assert len(more) == 45
    assert more.table.slice(0, 20).equals(first.table)
    assert more.metadata == {**first.metadata, "n": 45}


def test_extending_needs_the_same_files(tmp_path: Path) -> None:
    path = cities_file(tmp_path / "c.gpkg")
    first = sample_locations(SampleSettings(cities=path), 10)
    Path(path).write_bytes(Path(path).read_bytes() + b"\0")
    with pytest.raises(InputError, match="The cities file has changed"):
        extend(first.metadata, 20)
    Path(path).unlink()
    with pytest.raises(InputError, match=r"c\.gpkg"):
        extend(first.metadata, 20)


@pytest.mark.parametrize("metadata", [{}, {"seed": 0, "settings": {"colour": 1}, "inputs": {}}])
def test_tables_without_settings_cannot_be_extended(metadata: dict[str, object]) -> None:
    with pytest.raises(InputError, match="carry no sampler settings"):
        extend(metadata, 20)


@pytest.mark.parametrize("n", [0, -4])
def test_number_of_locations_must_be_positive(n: int) -> None:
    with pytest.raises(InputError, match=f"--n {n}"):
        sample_locations(SampleSettings(), n)
