from __future__ import annotations

import csv
import dataclasses
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from caco_data.errors import InputError
from caco_data.evaluation.cache import Cache, digest
from caco_data.evaluation.results import (
    COLUMNS,
    RESULTS,
    Result,
    append_results,
    file_stem,
    measure,
)


def row(**values: object) -> Result:
    base = Result("eurosat", "linear", "accuracy", 0.5, 0.4, 0.6, "run")
    return dataclasses.replace(base, **values)  # type: ignore[arg-type]


def test_present_rows_are_skipped_and_others_appended(tmp_path: Path) -> None:
    root = str(tmp_path)
    assert append_results(root, [row(), row(method="knn5")]) == 2
    assert append_results(root, [row(metric_value=0.9), row(seed=1)]) == 1
    with (tmp_path / RESULTS).open() as file:
        rows = list(csv.DictReader(file))
    assert [one["metric_value"] for one in rows] == ["0.5", "0.5", "0.5"]
    assert tuple(rows[0]) == COLUMNS
    (tmp_path / RESULTS).write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match="other columns"):
        append_results(root, [row()])


def test_rows_of_several_writers_are_all_kept(tmp_path: Path) -> None:
    rows = [row(seed=i) for i in range(20)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda one: append_results(str(tmp_path), [one]), rows))
    assert len((tmp_path / RESULTS).read_text().splitlines()) == 21


def test_a_metric_that_is_not_a_number_is_null() -> None:
    found = measure(lambda i: float("nan"), 3, 10, 0, dataset="x", method="m",
                    metric_name="auroc", name="run")  # fmt: skip
    assert found.record["metric_value"] is None
    assert found.record["resamples"] == [None] * 10


def test_damaged_cache_files_are_computed_again(tmp_path: Path) -> None:
    cache, calls = Cache(str(tmp_path)), []

    def compute() -> dict[str, np.ndarray]:
        calls.append(1)
        return {"x": np.arange(3)}

    for _ in range(2):
        assert cache.arrays(digest("a"), compute)["x"].tolist() == [0, 1, 2]
    assert len(calls) == 1
    (file,) = (tmp_path / "cache").iterdir()
    file.write_bytes(file.read_bytes()[:40])
    assert cache.arrays(digest("a"), compute)["x"].tolist() == [0, 1, 2]
    assert len(calls) == 2


def test_file_names() -> None:
    assert file_stem("eurosat", "run 1/best") == "eurosat-run-1-best"
