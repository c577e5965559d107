from __future__ import annotations

import json
import shutil
import socket
from pathlib import Path

from tests.conftest import Run
from tests.dataset.test_writer import contents
from tests.support.lock_holder import holding_process
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


def test_leftovers_are_notes_and_no_damage(run: Run, tmp_path: Path) -> None:
    make_dataset(str(tmp_path), outcomes(2))
    assert run("verify", tmp_path).stderr == ""
    before = contents(tmp_path)
    shutil.copytree(tmp_path / "shards", tmp_path / ".work")
    (tmp_path / "index.parquet.12-0a1b2c3d.tmp").write_text("x")
    (tmp_path / "shards" / "000000.tar.tmp").write_text("x")
    with holding_process(tmp_path) as other:
        result = run("verify", tmp_path)
        assert f"process {other.pid}, since" in result.stderr
        assert "is running" in result.stderr
    for result in (run("verify", tmp_path), run("info", tmp_path)):
        assert result.exit_code == 0
        notes = result.stderr.splitlines()
        assert all(line.startswith(f"note: {tmp_path}/") for line in notes)
        names = [line.removeprefix(f"note: {tmp_path}/").split(": ")[0] for line in notes]
        assert names == [
            ".lock", "index.parquet.12-0a1b2c3d.tmp", "shards/000000.tar.tmp", ".work",
        ]  # fmt: skip
        assert "which has ended" in notes[0]
    assert json.loads(run("info", "--json", tmp_path).stdout)["leftovers"] == names
    assert run("--quiet", "verify", tmp_path).stderr == ""
    assert run("verify", "--repair", tmp_path).stderr == ""
    assert contents(tmp_path) == before
    assert json.loads(run("info", "--json", tmp_path).stdout)["leftovers"] == []


def test_a_repair_is_refused_while_another_process_writes(run: Run, tmp_path: Path) -> None:
    make_dataset(str(tmp_path), outcomes(2))
    (tmp_path / "shards" / "000000.tar").unlink()
    before = contents(tmp_path)
    with holding_process(tmp_path) as first:
        result = run("verify", "--repair", tmp_path)
        assert result.exit_code == 2
        assert result.stderr.startswith("error: Another process writes to this folder: ")
        assert f" on {socket.gethostname()}, process {first.pid}, since " in result.stderr
        assert f"({tmp_path}). Wait until it ends, or stop it." in result.stderr
        assert result.stderr.count("\n") == 1
        assert run("verify", tmp_path).exit_code == 1
    assert contents(tmp_path).items() >= before.items()
    result = run("verify", "--repair", tmp_path)
    assert result.exit_code == 0
    assert "2 locations removed" in result.stderr
    assert not (tmp_path / ".lock").exists()


def test_a_repair_without_a_data_set_leaves_no_folder(run: Run, tmp_path: Path) -> None:
    assert run("verify", "--repair", tmp_path / "nowhere").exit_code == 2
    assert not (tmp_path / "nowhere").exists()
