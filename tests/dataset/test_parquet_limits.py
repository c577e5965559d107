"""Reading of tables in memory that does not depend on their size."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from caco_data.dataset.parquet_limits import stream_table
from caco_data.storage import LocalStorage


def test_a_stream_does_not_keep_the_row_groups_that_were_read(tmp_path: Path) -> None:
    group, groups = 50_000, 10
    values = np.random.default_rng(0).integers(1 << 62, size=group * groups)
    pq.write_table(pa.table({"a": values}), tmp_path / "a.parquet", row_group_size=group)
    tracemalloc.start()
    try:
        read = [batch.num_rows for batch in stream_table(LocalStorage(tmp_path), "a.parquet")]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sum(read) == group * groups
    assert peak < 3 * values[:group].nbytes
