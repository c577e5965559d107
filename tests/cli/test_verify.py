from __future__ import annotations

from pathlib import Path

from tests.conftest import Run
from tests.support.plain_source import FETCH, make_dataset, outcomes


def test_problems_are_listed_and_counted(run: Run, tmp_path: Path) -> None:
    make_dataset(str(tmp_path), outcomes(4, fetch=FETCH), FETCH)
    assert "no problems found" in run("verify", tmp_path).stdout
    shard = sorted((tmp_path / "shards").iterdir())[0]
    content = bytearray(shard.read_bytes())
    content[5000] ^= 1
    shard.write_bytes(content)
    result = run("verify", tmp_path)
    assert result.exit_code == 1
    assert "location 0" in result.stdout
    assert result.stderr.startswith(f"error: 1 problem found ({tmp_path}). Run 'caco-data verify")
    assert result.stderr.count("\n") == 1
