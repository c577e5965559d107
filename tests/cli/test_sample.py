"""The command `caco-data sample`."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import shapely

from caco_data.sampling.location_files import read_locations
from tests.conftest import Run


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_default_settings_of_sample(run: Run) -> None:
    result = run("sample", "--n", "1k")
    assert result.exit_code == 0, result.stderr
    assert result.stdout == "locations.parquet\n"
    assert "1,000 locations" in result.stderr
    locations = read_locations("locations.parquet")
    assert len(locations) == 1_000
    assert locations.metadata["seed"] == 0
    chosen = locations.metadata["settings"]
    assert (chosen["strategy"], chosen["top_cities"]) == ("caco", 10_000)


def test_a_larger_table_begins_with_the_rows_of_a_smaller_one(run: Run) -> None:
    for n in ("200", "400"):
        assert run("sample", "--n", n, "--out", f"{n}.parquet").exit_code == 0
    few, many = read_locations("200.parquet"), read_locations("400.parquet")
    assert many.table.slice(0, 200).equals(few.table)


def test_every_option_reaches_the_sampler(run: Run) -> None:
    gpd.GeoDataFrame(
        {"name": ["A", "B"], "population": [20, 10]},
        geometry=gpd.points_from_xy([5.0, 8.0], [45.0, 45.0]), crs=4326,
    ).to_file("cities.geojson")  # fmt: skip
    gpd.GeoDataFrame(geometry=[shapely.box(4, 44, 6, 46)], crs=4326).to_file("land.gpkg")
    gpd.GeoDataFrame(geometry=[shapely.box(5, 44, 6, 46)], crs=4326).to_file("region.gpkg")
    result = run(
        "sample", "--n", "40", "--seed", "3", "--strategy", "seco", "--sigma-km", "8",
        "--top-cities", "1", "--cities", "cities.geojson", "--land", "land.gpkg",
        "--within", "region.gpkg", "--no-overlap", "--out", "out.gpkg", "--map", "map.png",
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    locations = read_locations("out.gpkg")
    assert len(locations) == 40
    assert set(locations.table["city"].to_pylist()) == {"A"}
    assert locations.longitude.min() > 5
    assert np.mean(locations.table["city_distance_m"].to_pylist()) > 6_000
    assert Path("map.png").read_bytes().startswith(b"\x89PNG")
    assert locations.metadata["settings"] == {
        "strategy": "seco", "sigma_km": 8.0, "top_cities": 1, "cities": "cities.geojson",
        "land": "land.gpkg", "within": "region.gpkg", "no_overlap": True,
    }  # fmt: skip


def test_an_existing_file_is_kept_unless_it_is_the_same(run: Run) -> None:
    assert run("sample", "--n", "20").exit_code == 0
    assert run("sample", "--n", "20").exit_code == 0
    result = run("sample", "--n", "30")
    assert result.exit_code == 2
    assert "--overwrite" in result.stderr
    assert len(read_locations("locations.parquet")) == 20
    assert run("sample", "--n", "30", "--overwrite").exit_code == 0
    assert len(read_locations("locations.parquet")) == 30


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--n", "0"], "'0'"),
        (["--n", "-3"], "'-3'"),
        (["--n", "10x"], "'10x'"),
        (["--n", "nan"], "'nan'"),
        (["--n", "inf"], "'inf'"),
        (["--n", "1e99k"], "'1e99k'"),
        (["--n", "1.5"], "'1.5'"),
        ([], "--n"),
        (["--n", "9", "--seed", "-1"], "--seed"),
        (["--n", "9", "--sigma-km", "0"], "--sigma-km"),
        (["--n", "9", "--sigma-km", "nan"], "--sigma-km nan"),
        (["--n", "9", "--strategy", "uniform", "--sigma-km", "4"], "no sigma"),
        (["--n", "9", "--strategy", "best"], "best"),
        (["--n", "99999999999999"], "More than 10,000,000"),
        (["--n", "9", "--top-cities", "0"], "--top-cities"),
        (["--n", "9", "--cities", "none.csv"], "none.csv"),
        (["--n", "9", "--cities", "foreign.csv"], "no column name"),
        (["--n", "9", "--land", "none.gpkg"], "none.gpkg"),
        (["--n", "9", "--land", "foreign.csv"], "foreign.csv"),
        (["--n", "9", "--within", "none.gpkg"], "none.gpkg"),
        (["--n", "9", "--within", "10,20,30,95"], "10,20,30,95"),
        (["--n", "9", "--within", "-40,20,-35,22"], "No city"),
        (["--n", "9", "--out", "l.txt"], "l.txt"),
        (["--n", "9", "--out", "none/l.parquet"], "none"),
        (["--n", "9", "--map", "map.jpg"], "map.jpg"),
        (["--n", "9", "--map", "none/map.png"], "none"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    run: Run, arguments: list[str], word: str
) -> None:
    Path("foreign.csv").write_text("longitude,latitude,population\n1,2,3\n")
    result = run("sample", *arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    assert word in result.stderr
    assert [file.name for file in Path().iterdir()] == ["foreign.csv"]
