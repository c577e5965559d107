from __future__ import annotations

from pathlib import Path

from tests.conftest import Run
from tests.dataset.test_merge import make
from tests.support.plain_source import outcomes


def test_data_sets_are_merged_verified_and_summarised(run: Run, tmp_path: Path) -> None:
    results = outcomes(4)
    a, b = make(tmp_path / "a", results[:2]), make(tmp_path / "b", results[2:])
    result = run("merge", a, b, "--out", tmp_path / "c")
    assert result.exit_code == 0, result.stderr
    assert result.stdout == f"{tmp_path / 'c'}\n"
    assert "4 complete locations in 2 shards" in result.stderr
    assert "no problems found" in run("verify", tmp_path / "c").stdout
    assert "parts      a, b" in run("info", tmp_path / "c").stdout
    assert run("report", tmp_path / "c", "--out", tmp_path / "c.png").exit_code == 0
    again = run("merge", a, b, "--out", tmp_path / "c")
    assert again.exit_code == 0


def test_differences_are_one_line_each(run: Run, tmp_path: Path) -> None:
    results = outcomes(3)
    a = make(tmp_path / "a", results[:2], gap_years=4, seed=0)
    b = make(tmp_path / "b", results[2:], gap_years=3, seed=1)
    result = run("merge", a, b, "--out", tmp_path / "c")
    assert result.exit_code == 2
    assert result.stderr.splitlines() == [
        "settings.gap_years 4 -> 3",
        "settings.seed 0 -> 1",
        f"error: The data sets have different settings: 2 differences ({a} -> {b}). "
        "Only data sets that differ in their locations can be merged.",
    ]
    assert run("merge", a, "--out", tmp_path / "c").exit_code == 2
    assert not (tmp_path / "c").exists()
