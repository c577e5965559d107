"""Rows and columns of the index that are read on demand are those of the whole table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caco_data.dataset.index import Index, open_index
from caco_data.dataset.layout import INDEX, INDEX_SCHEMA, ROWS_PER_GROUP
from caco_data.dataset.summary import statistics
from caco_data.dataset.table_writer import write_index
from caco_data.dataset.tables import regrouped
from caco_data.errors import DatasetError
from caco_data.storage import LocalStorage
from caco_data.types import PERIODS
from tests.support.large_dataset import IndexRows

columns = st.lists(st.sampled_from(INDEX_SCHEMA.names), min_size=1, unique=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("index")


def index_of(folder: Path, table: pa.Table, rows_per_group: int, statistics: bool) -> Index:
    pq.write_table(
        table, folder / INDEX, row_group_size=rows_per_group, write_statistics=statistics
    )
    return open_index(LocalStorage(folder))


@settings(max_examples=60)
@given(
    ids=st.sets(st.integers(0, 200), max_size=30),
    asked=st.sets(st.integers(-5, 205), max_size=8),
    rows_per_group=st.integers(1, 400),
    statistics=st.booleans(),
    names=st.none() | columns,
)
def test_rows_on_demand_are_those_of_the_whole_table(
    folder: Path,
    ids: set[int],
    asked: set[int],
    rows_per_group: int,
    statistics: bool,
    names: list[str] | None,
) -> None:
    table = IndexRows(np.full(206, 32631)).of(sorted(ids), "000000.tar")
    index = index_of(folder, table, rows_per_group, statistics)
    whole = pq.read_table(folder / INDEX, columns=names)
    assert index.num_rows == table.num_rows
    assert index.read(names).equals(whole)
    assert pa.concat_tables([whole.slice(0, 0), *index.parts(names)]).equals(whole)
    here = pc.is_in(table["location_id"], pa.array(sorted(asked), pa.int64()))
    assert index.of(asked, names).equals(whole.filter(here))
    assert index.location_ids().tolist() == sorted(ids)


@given(
    sizes=st.lists(st.integers(0, 50), max_size=12),
    rows=st.integers(1, 60),
)
def test_regrouped_tables_have_the_same_rows_and_equal_sizes(sizes: list[int], rows: int) -> None:
    whole = pa.table({"a": pa.array(range(sum(sizes)), pa.int64())})
    first = [sum(sizes[:i]) for i in range(len(sizes))]
    cut = [whole.slice(start, size) for start, size in zip(first, sizes, strict=True)]
    groups = list(regrouped(iter(cut), rows))
    assert pa.concat_tables([whole.slice(0, 0), *groups]).equals(whole)
    assert all(group.num_rows == rows for group in groups[:-1])
    assert all(0 < group.num_rows <= rows for group in groups[-1:])
    assert all(group["a"].num_chunks == 1 for group in groups)


def test_row_groups_of_a_written_index_do_not_depend_on_the_shards(tmp_path: Path) -> None:
    table = IndexRows(np.full(4100, 32631)).of(list(range(4100)), "000000.tar")
    digests = set()
    for rows_per_shard in (1280, 30_000):
        starts = range(0, table.num_rows, rows_per_shard)
        parts = (table.slice(start, rows_per_shard) for start in starts)
        digests.add(write_index(LocalStorage(tmp_path), parts))
    footer = open_index(LocalStorage(tmp_path)).footer
    groups = [footer.row_group(i).num_rows for i in range(footer.num_row_groups)]
    assert groups == [ROWS_PER_GROUP, ROWS_PER_GROUP, 1000]
    assert len(digests) == 1


class CountingStorage(LocalStorage):
    """Counts the bytes that are read."""

    nbytes = 0

    def open(self, name: str) -> pa.PythonFile:
        storage = self

        class File:
            def __init__(self) -> None:
                self.file = LocalStorage.open(storage, name)

            def read(self, size: int = -1) -> bytes:
                data = self.file.read(size)
                storage.nbytes += len(data)
                return data

            def __getattr__(self, attribute: str) -> object:
                return getattr(self.file, attribute)

            def __enter__(self) -> File:
                return self

            def __exit__(self, *error: object) -> None:
                self.file.close()

        return File()


def test_only_the_columns_and_row_groups_asked_for_are_read(tmp_path: Path) -> None:
    table = IndexRows(np.full(1000, 32631)).of(list(range(1000)), "000000.tar")
    pq.write_table(table, tmp_path / INDEX, row_group_size=1000)
    size = (tmp_path / INDEX).stat().st_size
    storage = CountingStorage(tmp_path)
    index = open_index(storage)
    storage.nbytes = 0
    index.of([555], ["shard", "offset", "nbytes"])
    assert 0 < storage.nbytes < size / 50
    storage.nbytes = 0
    index.read(["location_id", "t"])
    assert 0 < storage.nbytes < size / 10


def test_a_missing_foreign_or_damaged_index_is_reported(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    with pytest.raises(DatasetError, match="Missing table"):
        open_index(storage)
    (tmp_path / INDEX).write_bytes(b"no table")
    with pytest.raises(DatasetError, match="Unreadable table"):
        open_index(storage)
    pq.write_table(pa.table({"a": [1]}), tmp_path / INDEX)
    with pytest.raises(DatasetError, match="columns"):
        open_index(storage)
    table = IndexRows(np.full(5, 32631)).of(list(range(5)), "000000.tar")
    index = index_of(tmp_path, table, 20, True)
    damaged = bytearray((tmp_path / INDEX).read_bytes())
    damaged[4:2000] = bytes(1996)
    (tmp_path / INDEX).write_bytes(damaged)
    with pytest.raises(DatasetError, match=r"Unreadable table: .*index\.parquet"):
        index.read()
    (tmp_path / INDEX).unlink()
    with pytest.raises(DatasetError, match=r"index\.parquet"):
        index.read()


def test_an_index_with_huge_texts_is_refused_before_they_are_expanded(tmp_path: Path) -> None:
    table = IndexRows(np.full(20, 32631)).of(list(range(20)), "000000.tar")
    texts = pa.array(["x" * 1_000_000] * table.num_rows)
    at = table.schema.get_field_index("image_id")
    index = index_of(tmp_path, table.set_column(at, "image_id", texts), 200, True)
    assert index.read(["location_id"]).num_rows == 200
    before = pa.total_allocated_bytes()
    with pytest.raises(DatasetError, match="texts of up to 1000000 bytes"):
        index.read()
    assert pa.total_allocated_bytes() - before < 5_000_000


def test_a_summary_of_many_row_groups_is_that_of_the_whole_table(tmp_path: Path) -> None:
    table = IndexRows(np.arange(60, dtype=np.int32) % 7 + 32601).of(list(range(60)), "000000.tar")
    index = index_of(tmp_path, table, 33, True)
    periods, zones = statistics(index)
    assert zones == 7
    for period in PERIODS:
        rows = table.filter(pc.equal(table["period"], period))
        assert periods[period] == {
            "tiles": rows.num_rows,
            "first": pc.min(rows["acquired"]).as_py().isoformat(),
            "last": pc.max(rows["acquired"]).as_py().isoformat(),
            "mean_clear_fraction": pytest.approx(pc.mean(rows["clear_fraction"]).as_py()),
            "mean_cloud_pct": pytest.approx(pc.mean(rows["cloud_pct"]).as_py()),
        }
    empty = index_of(tmp_path, table.slice(0, 0), 33, True)
    nothing = {"tiles": 0, "first": None, "last": None}
    nothing |= {"mean_clear_fraction": None, "mean_cloud_pct": None}
    assert statistics(empty) == ({"early": nothing, "late": nothing}, 0)
