"""Columns of whole numbers, and Parquet files without geometry."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from caco_data.errors import InputError
from caco_data.world.geoparquet import integers_of
from caco_data.world.vector_files import read_table


@pytest.mark.parametrize("values", [[3, 1], [3.0, 1.0], ["3", "1"], pa.array([3, 1], pa.uint8())])
def test_whole_numbers_of_any_type(values: object) -> None:
    numbers = integers_of(pa.table({"population": values}), "population")
    assert numbers.dtype == np.int64
    assert numbers.tolist() == [3, 1]


@pytest.mark.parametrize(
    ("values", "message"),
    [([1, None], "a population is missing"), ([0.5, 1.0], "not an integer"),
     (["a", "1"], "not an integer"), ([[1], [2]], "not an integer")],
)  # fmt: skip
def test_other_values_are_an_error(values: list[object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        integers_of(pa.table({"population": values}), "population")


def test_parquet_without_geometry(tmp_path: Path) -> None:
    path = tmp_path / "plain.parquet"
    pq.write_table(pa.table({"population": [1]}), path)
    with pytest.raises(InputError, match="The city file is not GeoParquet"):
        read_table(path, "city")
