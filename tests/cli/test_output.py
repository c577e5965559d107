from __future__ import annotations

import json
import logging
import sys
from pathlib import Path

import pytest

from caco_data.dataset.description import description_digest
from cli.output import LogFormatter, echo, print_traceback
from cli.render import columns
from tests.conftest import Run
from tests.support.plain_source import make_dataset, outcomes

ATTACK = "\x1b]0;title\x07\x1b[2J\nerror: none\u202e\udcff"
ESCAPED = r"\x1b]0;title\x07\x1b[2J\nerror: none\u202e\udcff"


def test_a_line_is_printed_as_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    echo(ATTACK, "second")
    assert capsys.readouterr().out == f"{ESCAPED}\nsecond\n"
    echo(ATTACK, err=True, prefix="> ")
    assert capsys.readouterr().err == f"> {ESCAPED}\n"


def test_a_text_in_a_table_is_one_line() -> None:
    assert columns([("a", ATTACK), ("b", "é")], 3) == f"a  {ESCAPED}\nb  é"


def test_a_log_message_is_one_line_and_a_traceback_is_escaped() -> None:
    try:
        raise ValueError(ATTACK)
    except ValueError:
        record = logging.LogRecord("x", logging.WARNING, "", 1, "%s", (ATTACK,), sys.exc_info())
    text = LogFormatter("%(levelname)s: %(message)s").format(record)
    assert text.startswith(f"WARNING: {ESCAPED}\nTraceback")
    assert "\x1b" not in text
    assert "\u202e" not in text


def test_an_uncaught_traceback_is_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        raise ValueError(ATTACK)
    except ValueError as error:
        print_traceback(type(error), error, error.__traceback__)
    text = capsys.readouterr().err
    assert text.startswith("Traceback")
    assert "\x1b" not in text


def test_no_command_prints_the_escape_sequences_of_a_data_set(run: Run, tmp_path: Path) -> None:
    root = tmp_path / "set"
    make_dataset(str(root), outcomes(1))
    meta = json.loads((root / "dataset.json").read_text())
    meta["software"] = meta["source"]["name"] = meta["source"]["collection"] = ATTACK
    meta["counts"]["rejected"] = {ATTACK: 1}
    meta["sha256"] = description_digest(meta)
    (root / "dataset.json").write_text(json.dumps(meta))
    (root / "a\x1b[2J\nb").write_text("x")
    (root / "shards" / ("c\x1b[2J" + ".12-ab.tmp")).write_text("x")
    event = {"time": ATTACK, "event": "stopped", "reason": ATTACK}
    (root / "events.jsonl").write_text(json.dumps(event) + "\n")
    for args in (["verify"], ["info"], ["info", "--json"]):
        result = run(*args, root)
        assert result.exit_code in (0, 1)
        assert "\x1b" not in result.output
        assert "\u202e" not in result.output
    assert r"a\x1b[2J\nb: not part of the data set" in run("verify", root).stdout
    meta["shards"][0]["name"] = ATTACK
    meta["sha256"] = description_digest(meta)
    (root / "dataset.json").write_text(json.dumps(meta))
    result = run("verify", root)
    assert result.exit_code == 1
    assert "\x1b" not in result.output
    assert len(result.output.splitlines()) == 2  # a note on the temporary file, and the error
