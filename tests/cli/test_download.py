from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import Run


@pytest.fixture(scope="module")
def table(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("table") / "locations.parquet"
    assert (
        run("sample", "--n", 2, "--seed", 5, "--within", "2,41,3,42", "--out", path).exit_code == 0
    )
    return path


def test_a_dry_run_prints_an_estimate_and_writes_nothing(
    run: Run, table: Path, tmp_path: Path
) -> None:
    result = run("download", "--locations", table, "--out", tmp_path / "out", "--dry-run")
    assert result.exit_code == 0, result.stderr
    assert "requests  about 25, at least 24\n" in result.stdout
    assert not (tmp_path / "out").exists()
    scored = run("download", "--locations", table, "--dry-run", "--cloud-mask", "cs+")
    assert "at least 44\n" in scored.stdout
    stac = run("download", "--locations", table, "--dry-run", "--source", "stac")
    assert "requests  at most about 199; locations of one city share" in stac.stdout


def test_every_option_is_recorded(run: Run, table: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = run(
        "download", "--locations", table, "--out", out, "--source", "simulated",
        "--archive-seed", 3, "--start", "2020-01-01..2020-06-30", "--gap-years", 2,
        "--max-cloud", 60, "--min-clear", 0.5, "--min-spacing", 5, "--bands", "B8,B4",
        "--dtype", "uint8", "--compress", "zstd", "--locations-per-shard", 1, "--workers", 1,
        "--concurrency", 2, "--min-complete", 0, "--json-log",
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    assert result.stdout == f"{out}\n"
    assert "locations complete" in result.stderr
    meta = json.loads((out / "dataset.json").read_text())
    assert meta["source"]["seed"] == 3
    settings = meta["settings"]
    assert settings["scenes"] == {
        "seed": 5, "first_start": "2020-01-01", "last_start": "2020-06-30", "gap_years": 2,
        "max_cloud_pct": 60.0, "cloud_mask": "scl", "min_clear": 0.5, "min_spacing_days": 5.0,
    }  # fmt: skip
    assert (settings["bands"], settings["dtype"]) == (["B8", "B4"], "uint8")
    assert (settings["compress"], settings["locations_per_shard"]) == ("zstd", 1)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--max-cloud", "nan"), "--max-cloud nan"),
        (("--gap-years", 11), "--gap-years"),
        (("--start", "2020"), "2019-01-01..2020-12-31"),
        (("--start", "2015-06-22"), "no images before 2015-06-23"),
        (("--start", "2998-01-01", "--source", "earthengine"), "ends in 3003, after today"),
        (("--bands", "B4,B99"), "B99"),
        (("--locations", "nowhere.parquet"), "nowhere.parquet"),
        (("--service-account", "nowhere.json"), "nowhere.json"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    run: Run, table: Path, tmp_path: Path, arguments: tuple[object, ...], words: str
) -> None:
    result = run("download", "--locations", table, "--out", tmp_path / "out", *arguments)
    assert result.exit_code == 2
    assert words in result.stderr
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_presets_and_options_of_the_periods(run: Run, table: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = run(
        "download", "--locations", table, "--out", out, "--source", "simulated", "--preset",
        "ssl4eo", "--tiles-per-period", 2, "--max-cloud", 60, "--min-clear", 0.2, "--bands", "B4",
        "--patch-px", 66, "--limit", 1, "--workers", 1, "--min-complete", 0,
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    settings = json.loads((out / "dataset.json").read_text())["settings"]
    assert settings["scenes"]["first_start"] == "2019-11-08"
    assert (settings["tiles"], settings["patch_px"]) == ({"single": 2}, 66)
    again = run("download", "--locations", table, "--out", out, "--source", "simulated")
    assert again.exit_code == 2
    assert "--patch-px" in again.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--dates", "2021-06-01", "--periods", 3), "--periods has no effect with --dates"),
        (("--dates", "2021-06-01,2019-06-01"), "not in order of time"),
        (("--dates", "soon"), "neither of the form"),
        (("--dates", "table"), "no dates"),
        (("--dates", "2014-06-01"), "no images before"),
        (("--dates", "2021-06-01", "--patch-px", 100), "multiple of 6"),
        (("--preset", "pair"), "need its dates"),
        (("--months", "4-13"), "not of the form 4-10"),
        (("--gap-years", 0.5), "overlap"),
    ],
)
def test_impossible_periods_are_refused(
    run: Run, table: Path, tmp_path: Path, arguments: tuple[object, ...], words: str
) -> None:
    out = tmp_path / "out"
    result = run(
        "download", "--source", "simulated", "--locations", table, "--out", out, *arguments
    )
    assert result.exit_code == 2
    assert words in result.stderr.replace("\n", " ")
    assert not out.exists()
