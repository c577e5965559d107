"""`caco-data download --source stac` from the STAC test server, with workers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from caco_data.dataset.reader import open_dataset
from caco_data.grid import patch_grid
from caco_data.sampling.location_files import read_locations
from caco_data.types import Grid, Location
from tests.conftest import Run
from tests.support.stac_server.server import StacServer

N = 2
#: Columns of the index that name the scenes, or are positions in shards of another size.
_OTHER = (
    "image_id", "baseline", "offset_dn", "offset", "b20_offset", "b60_offset", "scl_offset",
)  # fmt: skip


@pytest.fixture(scope="module")
def table(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("locations") / "locations.parquet"
    assert run("sample", "--n", N, "--seed", 4, "--out", out).exit_code == 0
    return out


def grids(table: Path) -> list[Grid]:
    found = read_locations(str(table))
    columns = (found.location_id, found.longitude, found.latitude, found.utm_epsg)
    rows = zip(*(column.tolist() for column in columns), strict=True)
    return [patch_grid(Location(*row)) for row in rows]


def download(run: Run, table: Path, out: Path, *options: object) -> Any:
    return run(
        "download", "--locations", table, "--out", out, "--workers", 1, "--min-complete", 0,
        "--no-fill", *options,
    )  # fmt: skip


def archive_name(image_id: str) -> str:
    return image_id.split("_sentinel-2")[0]


def test_tiles_and_choice_of_scenes_are_those_of_the_simulated_archive(
    run: Run, table: Path, tmp_path: Path
) -> None:
    with StacServer(patches=grids(table)) as server:
        result = download(
            run, table, tmp_path / "stac", "--source", "stac", "--stac-url", server.url
        )
    assert result.exit_code == 0, result.stderr
    result = download(run, table, tmp_path / "simulated", "--source", "simulated")
    assert result.exit_code == 0, result.stderr
    stac, simulated = (
        open_dataset(str(tmp_path / name)).index.read().to_pylist()
        for name in ("stac", "simulated")
    )
    assert len(stac) == len(simulated) > 0
    for one, other in zip(stac, simulated, strict=True):
        assert archive_name(one["image_id"]) == other["image_id"]
        assert one["offset_dn"] in (0, 1000)
        assert other["offset_dn"] is None
        equal = [name for name in other if name not in _OTHER]
        assert {name: one[name] for name in equal} == {name: other[name] for name in equal}
    assert {one["offset_dn"] for one in stac if one["baseline"] >= "04.00"} >= {1000}
    assert {one["offset_dn"] for one in stac if one["baseline"] < "04.00"} == {0}
    assert run("verify", tmp_path / "stac").exit_code == 0
    assert open_dataset(str(tmp_path / "stac")).meta["source"] == {
        "name": "stac",
        "collection": "sentinel-2-c1-l2a,sentinel-2-l2a",
        "endpoint": "127.0.0.1",
    }


@pytest.mark.parametrize("url", ["nowhere", "ftp://127.0.0.1"])
def test_addresses_that_are_not_valid(run: Run, table: Path, tmp_path: Path, url: str) -> None:
    result = download(run, table, tmp_path / "d", "--source", "stac", "--stac-url", url)
    assert result.exit_code == 2
    assert "--stac-url" in result.stderr
    assert not (tmp_path / "d").exists()
