from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely

from caco_data.dataset import shards
from caco_data.dataset.footprints import with_footprints
from caco_data.dataset.index_files import ADDED, earlier_row, old_row
from caco_data.dataset.layout import INDEX, INDEX_SCHEMA, TRUTH_SCHEMA
from caco_data.dataset.ledger import Ledger
from caco_data.dataset.merge import merge
from caco_data.dataset.reader import open_dataset
from caco_data.dataset.repair import repair
from caco_data.dataset.shard_content import ShardContent, read_contents, write_contents
from caco_data.dataset.verify import verify
from caco_data.dataset.work_folder import ContentFile
from caco_data.dataset.writer import DatasetWriter
from caco_data.grid import grid_footprint, patch_grid
from caco_data.storage import LocalStorage
from caco_data.types import Location, Outcome
from tests.dataset.test_verify import flip, redigest
from tests.support.plain_source import description, locations, make_dataset, outcomes

N = 5


@pytest.fixture(scope="module")
def results() -> list[Outcome]:
    return outcomes(N)


@pytest.fixture
def old(results: list[Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalStorage:
    """A data set as an earlier version wrote it, with a column and a key `transform`."""

    def old_json(rows: Iterable[shards.Row]) -> bytes:
        return (json.dumps([old_row(row) for row in rows], indent=1) + "\n").encode()

    with monkeypatch.context() as patch:
        patch.setattr(shards, "record_json", old_json)
        storage = make_dataset(str(tmp_path / "old"), results)
    table = pq.read_table(tmp_path / "old" / INDEX).drop_columns(["geometry", *ADDED])
    names = ["transform" if name == "affine" else name for name in table.column_names]
    table = table.rename_columns(names).replace_schema_metadata()
    pq.write_table(table, tmp_path / "old" / INDEX)
    redigest(tmp_path / "old", INDEX)
    assert b'"transform"' in (tmp_path / "old" / "shards" / "000000.tar").read_bytes()
    return storage


def test_the_index_is_a_geoparquet_file_with_the_footprints(
    results: list[Outcome], tmp_path: Path
) -> None:
    make_dataset(str(tmp_path / "set"), results)
    frame = gpd.read_parquet(tmp_path / "set" / INDEX)
    assert frame.crs == "OGC:CRS84"
    assert len(frame) == 10 * N
    assert not [name for name in frame.columns if hasattr(pd.DataFrame, name)]
    for location in locations(N):
        footprint = grid_footprint(patch_grid(location))
        expected = shapely.Polygon(zip(footprint.longitudes, footprint.latitudes, strict=True))
        here = frame[frame.location_id == location.location_id].geometry
        assert len(here) == 10
        for polygon in here:
            assert shapely.equals_exact(polygon.normalize(), expected.normalize(), 1e-9)
            assert polygon.exterior.is_ccw


def test_footprints_of_both_hemispheres_and_of_tiles_without_a_grid() -> None:
    places = [
        Location(0, -58.4, -34.6, 32721),
        Location(1, 179.999, -16.6, 32760),
        Location(2, 5.33, 60.39, 32632),
    ]
    grids = [patch_grid(place) for place in places]
    rows: list[dict[str, object]] = [
        {"location_id": i, "crs": grid.crs, "affine": list(grid.transform)}
        for i, grid in enumerate(grids)
    ]
    rows += [{"location_id": 3}, {"location_id": 4, "crs": "EPSG:4326", "affine": [0.0] * 6}]
    table = with_footprints(pa.Table.from_pylist(rows, INDEX_SCHEMA))
    found = table["geometry"].to_pylist()
    assert found[3:] == [None, None]
    for wkb, grid in zip(found, grids, strict=False):
        footprint = grid_footprint(grid)
        west, south, east, north = shapely.from_wkb(wkb).bounds
        longitudes = np.array(footprint.longitudes)
        longitudes += 360 * round((west - longitudes.min()) / 360)
        assert (west, east) == pytest.approx((longitudes.min(), longitudes.max()), abs=1e-9)
        latitudes = footprint.latitudes
        assert (south, north) == pytest.approx((min(latitudes), max(latitudes)), abs=1e-9)


def test_a_data_set_of_an_earlier_version_is_read_and_verified(old: LocalStorage) -> None:
    rows = open_dataset(old.root).index.of([0]).to_pylist()
    grid = patch_grid(locations(1)[0])
    assert rows[0]["affine"] == list(grid.transform)
    verdict = verify(old)
    assert (verdict.good, verdict.damages) == (N, ())


def test_a_data_set_without_the_added_columns_is_read_and_verified(
    results: list[Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encode = shards.record_json
    with monkeypatch.context() as patch:
        patch.setattr(shards, "record_json", lambda rows: encode(map(earlier_row, rows)))
        storage = make_dataset(str(tmp_path), results)
    assert b"offset_dn" not in (tmp_path / "shards" / "000000.tar").read_bytes()
    pq.write_table(pq.read_table(tmp_path / INDEX).drop_columns(list(ADDED)), tmp_path / INDEX)
    redigest(tmp_path, INDEX)
    index = open_dataset(tmp_path).index
    assert index.read(["offset_dn", "baseline"]).to_pylist() == (
        10 * N * [{"offset_dn": None, "baseline": "05.00"}]
    )
    assert index["offset_dn"].to_pylist() == 10 * N * [None]
    assert index.of([0]).schema == INDEX_SCHEMA
    verdict = verify(storage)
    assert (verdict.good, verdict.damages) == (N, ())
    # A value of the index that the json member lacks is a difference.
    table = pq.read_table(tmp_path / INDEX)
    at = INDEX_SCHEMA.get_field_index("offset_dn")
    field = INDEX_SCHEMA.field(at)
    ones = pa.array([1000] * table.num_rows, field.type)
    pq.write_table(table.add_column(at, field, ones), tmp_path / INDEX)
    redigest(tmp_path, INDEX)
    assert len(verify(storage).damages) == N


def test_a_data_set_of_an_earlier_version_is_repaired(
    old: LocalStorage, results: list[Outcome]
) -> None:
    flip(Path(old.root) / "shards" / "000000.tar", at=2000)  # in the first array
    assert repair(old, verify(old)) == 1
    ids = [result.location_id for result in results]
    writer = DatasetWriter(old, Ledger(old, description(), ids))
    writer.add(results[0])
    writer.finish(pq.read_table(Path(old.root) / "locations.parquet"))
    verdict = verify(old)
    assert (verdict.good, verdict.damages) == (N, ())
    assert pq.read_schema(Path(old.root) / INDEX).names[-1] == "geometry"


def test_an_unfinished_data_set_of_an_earlier_version_is_resumed(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    rows = pa.Table.from_pylist([{"location_id": 7, "affine": [10.0] * 6}], INDEX_SCHEMA)
    old = rows.drop_columns(list(ADDED))
    old = old.rename_columns([*old_row(dict.fromkeys(old.column_names))])
    assert "transform" in old.column_names
    truth = TRUTH_SCHEMA.empty_table()
    write_contents(storage, 0, [ShardContent(old, [], truth, None)])
    (content,) = read_contents(storage, ContentFile(0, 0))
    assert content.rows.equals(rows)


def test_data_sets_of_both_versions_are_merged(
    old: LocalStorage, results: list[Outcome], tmp_path: Path
) -> None:
    make_dataset(str(tmp_path / "new"), results)
    merge([old.root, str(tmp_path / "new")], str(tmp_path / "both"), renumber=True)
    verdict = verify(LocalStorage(tmp_path / "both"))
    assert (verdict.good, verdict.damages) == (2 * N, ())
    assert len(gpd.read_parquet(tmp_path / "both" / INDEX)) == 20 * N
