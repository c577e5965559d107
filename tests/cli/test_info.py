from __future__ import annotations

import json
from pathlib import Path

from caco_data.dataset.events import EventLog
from tests.conftest import Run
from tests.support.plain_source import make_dataset, outcomes

N = 5


def test_info_prints_a_summary_as_text_or_json(run: Run, tmp_path: Path) -> None:
    make_dataset(str(tmp_path), outcomes(N))
    text = run("info", tmp_path).stdout
    assert "5 complete of 5" in text
    assert "B4, B3, B2 as uint16" in text
    summary = json.loads(run("info", "--json", tmp_path).stdout)
    assert summary["counts"]["complete"] == N
    assert summary["periods"]["late"]["tiles"] == 5 * N
    assert summary["events"] is None
    assert run("info", tmp_path / "nothing").exit_code == 2


def test_info_names_damage_that_shows_in_the_sizes(run: Run, tmp_path: Path) -> None:
    make_dataset(str(tmp_path), outcomes(N))
    assert "damaged" not in run("info", tmp_path).stdout
    (tmp_path / "shards" / "000000.tar").unlink()
    with (tmp_path / "shards" / "000001.tar").open("ab") as file:
        file.write(b"0")
    assert "2 shards missing or of another size" in run("info", tmp_path).stdout
    damaged = json.loads(run("info", "--json", tmp_path).stdout)["damaged_shards"]
    assert damaged == ["000000.tar", "000001.tar"]
    (tmp_path / "dataset.json").write_text("{")
    result = run("info", tmp_path)
    assert "Restore it from a copy" in result.stderr


def test_info_summarises_the_events_of_the_downloads(run: Run, tmp_path: Path) -> None:
    EventLog(make_dataset(str(tmp_path), outcomes(N))).write("retries", causes={"429": 3})
    assert "429 x3" in run("info", tmp_path).stdout
    assert json.loads(run("info", "--json", tmp_path).stdout)["events"]["retries"] == {"429": 3}
    assert run("verify", tmp_path).exit_code == 0
