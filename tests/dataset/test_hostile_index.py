"""Index rows with values that the format does not permit."""

from __future__ import annotations

import os
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caco_data.dataset.layout import INDEX_SCHEMA
from caco_data.dataset.reader import open_dataset
from caco_data.dataset.repair import repair
from caco_data.dataset.summary import summarise
from caco_data.dataset.verify import verify
from caco_data.errors import CacoDataError
from caco_data.storage import LocalStorage
from tests.support.hostile import accept, small_dataset, tree


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_dataset(tmp_path_factory.mktemp("hostile") / "set")


def values(kind: pa.DataType) -> st.SearchStrategy[Any]:
    """Values of a column's type, also missing ones."""
    if pa.types.is_string(kind):
        return st.none() | st.text(max_size=20) | st.sampled_from(["late", "000001.tar", "../x"])
    if pa.types.is_int64(kind):
        return st.none() | st.integers(-(2**63), 2**63 - 1) | st.integers(-1, 3)
    if pa.types.is_int32(kind):
        return st.none() | st.integers(-(2**31), 2**31 - 1)
    if pa.types.is_int8(kind):
        return st.none() | st.integers(-128, 127)
    if pa.types.is_float64(kind):
        return st.none() | st.floats()
    if pa.types.is_list(kind):
        return st.none() | st.lists(st.none() | st.floats(), max_size=7)
    return st.none() | st.just(datetime(1970, 1, 1, tzinfo=UTC))


CHANGES = st.sampled_from(INDEX_SCHEMA.names).flatmap(
    lambda name: st.tuples(st.just(name), values(INDEX_SCHEMA.field(name).type))
)


@settings(max_examples=40)
@given(
    changes=st.lists(CHANGES, min_size=1, max_size=3),
    first=st.integers(0, 29),
    count=st.sampled_from([1, 5, 30]),
)
def test_no_index_ends_in_another_exception_or_changes_other_files(
    whole: Path, changes: list[tuple[str, Any]], first: int, count: int
) -> None:
    root = whole.parent / "mutated"
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(whole, root, copy_function=os.link)
    for name in ("index.parquet", "dataset.json"):
        (root / name).unlink()
        shutil.copy(whole / name, root / name)
    rows = pq.read_table(root / "index.parquet").to_pylist()
    for row in rows[first : first + count]:
        row.update(changes)
    pq.write_table(pa.Table.from_pylist(rows, schema=INDEX_SCHEMA), root / "index.parquet")
    accept(root)
    before = tree(whole)
    storage = LocalStorage(root)
    for use in (
        lambda: summarise(open_dataset(root)),
        lambda: open_dataset(root).stacks(),
        lambda: open_dataset(root).read_member(0, "early", "60"),
        lambda: repair(storage, verify(storage)),
    ):
        try:
            use()
        except CacoDataError:
            continue
    assert tree(whole) == before
