"""Version 2 of the archive beside data sets of version 1."""

from __future__ import annotations

import json
from pathlib import Path

from caco_data.dataset.description import description_digest
from caco_data.dataset.reader import open_dataset
from caco_data.sources.simulated.settings import SimulatedSettings
from tests.conftest import Run

VERSION_1 = "simulated Sentinel-2 L2A (caco-data)"
VERSION_2 = "simulated Sentinel-2 L2A (caco-data), version 2"


def test_data_sets_of_version_1_open_but_are_not_continued(run: Run, tmp_path: Path) -> None:
    assert SimulatedSettings().collection == VERSION_2
    table, out = tmp_path / "locations.parquet", tmp_path / "dataset"
    assert run("sample", "--n", 1, "--within", "2,41,3,42", "--out", table).exit_code == 0
    download = (
        "download", "--locations", table, "--out", out, "--source", "simulated", "--workers", 1,
        "--min-complete", 0,
    )  # fmt: skip
    assert run(*download).exit_code == 0
    meta = json.loads((out / "dataset.json").read_text())
    assert meta["source"]["collection"] == VERSION_2
    meta["source"]["collection"] = VERSION_1
    meta["sha256"] = description_digest(meta)
    (out / "dataset.json").write_text(json.dumps(meta))
    assert open_dataset(out).meta["source"]["collection"] == VERSION_1
    result = run(*download)
    assert result.exit_code == 2
    assert f"source.collection {VERSION_1} -> {VERSION_2}" in result.stderr
