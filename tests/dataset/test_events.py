from __future__ import annotations

import json
import logging
import tracemalloc
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from caco_data.dataset import events
from caco_data.dataset.events import EventLog, read_events, summarise_events
from caco_data.dataset.layout import EVENTS
from caco_data.storage import LocalStorage, open_storage, read_bytes, write_bytes


def lines(root: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (root / EVENTS).read_text().splitlines()]


def test_each_event_is_a_line_with_a_time_in_utc(tmp_path: Path) -> None:
    log = EventLog(LocalStorage(tmp_path))
    log.write("rejected", location_id=3, reason="nodata", detail="slot 2 of\nearly")
    log.write("restricted")
    first, second = lines(tmp_path)
    assert list(first) == ["time", "event", "location_id", "reason", "detail"]
    assert first["detail"] == "slot 2 of early"
    assert second["event"] == "restricted"
    assert len(first["time"]) == len("2026-11-24T18:00:00.123Z")
    assert datetime.fromisoformat(first["time"]).tzinfo == UTC


def test_a_line_cut_by_a_kill_is_skipped_and_the_next_run_starts_a_new_line(
    tmp_path: Path,
) -> None:
    storage = LocalStorage(tmp_path)
    EventLog(storage).write("restricted")
    whole = (tmp_path / EVENTS).read_bytes()
    for cut in range(1, len(whole)):
        (tmp_path / EVENTS).write_bytes(whole + whole[:cut])
        # Without its line feed only, the last line is complete.
        expected = ["restricted"] * (2 if cut == len(whole) - 1 else 1)
        assert [e["event"] for e in read_events(storage)] == expected
        EventLog(storage).write("start")
        assert [e["event"] for e in read_events(storage)] == [*expected, "start"]


def test_lines_that_are_not_events_are_skipped(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    EventLog(storage).write("retries", causes={"429": 2})
    with (tmp_path / EVENTS).open("ab") as file:
        for line in (
            b"", b"text", b"[1]", b"null", b'{"event": 3, "time": "x"}', b'{"event": "end"}',
            b"\xff\xfe", b"[" * 50_000, b"x" * 200_000, b'{"a": 1' + b"0" * 5000 + b"}",
            b'{"time": "t", "event": "retries", "causes": [1]}',
            b'{"time": "t", "event": "retries", "causes": {"a": "b", "c": NaN, "429": 1}}',
            b'{"time": "t", "event": "outage over", "seconds": 1' + b"0" * 400 + b"}",
            b'{"time": "t", "event": "outage", "since": null}',
            b'{"time": "t", "event": "end"}',
        ):  # fmt: skip
            file.write(line + b"\n")
    found = summarise_events(storage)
    assert found is not None
    assert {cause: n for cause, n in found["retries"].items() if n} == {"429": 3}
    assert found["outage_s"] == 0
    json.dumps(found, allow_nan=False)


def test_a_summary_counts_the_events_of_all_runs(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    assert summarise_events(storage) is None
    log = EventLog(storage)
    for run in range(2):
        log.write("start", pending=3)
        log.write("rejected", location_id=run, reason="too cloudy", detail="")
        log.write("failed", location_id=5, detail="503")
        log.write("retries", causes={"503": 4, "timeout": 1})
        log.write("throttled", window=20, of=40)
        log.write("outage", since="2026-11-24T18:00:00.000Z", cause="503")
        log.write("outage over", seconds=60.5)
        log.write("worker lost", worker="tcp://127.0.0.1:1")
        log.write("worker started", worker="tcp://127.0.0.1:2")
    log.write("restricted")
    for i in range(7):
        log.write("stopped", reason=f"reason {i}")
    log.write("end", complete=3)
    found = summarise_events(storage)
    assert found is not None
    stopped = found.pop("stopped")
    assert [entry["reason"] for entry in stopped] == [f"reason {i}" for i in range(2, 7)]
    all_lines = lines(tmp_path)
    assert found == {
        "runs": 2, "rejected": {"too cloudy": 2}, "failed": 2, "retries": {"503": 8, "timeout": 2},
        "throttled": 2, "restricted": 1, "outages": 2, "outage_s": 121.0, "workers_lost": 2,
        "workers_started": 2, "first": all_lines[0]["time"], "last": all_lines[-1]["time"],
    }  # fmt: skip


def test_an_outage_until_the_end_of_a_run_counts_until_then(tmp_path: Path) -> None:
    rows = [
        {"time": "2026-11-24T18:05:00.000Z", "event": "outage", "since": "2026-11-24T18:00:00Z"},
        {"time": "2026-11-24T18:10:00.500Z", "event": "end"},
        {"time": "2026-11-24T19:00:00.000Z", "event": "outage", "since": "2026-11-24T18:59:00Z"},
        {"time": "2026-11-24T20:00:00.000Z", "event": "start"},  # the earlier run was killed
        {"time": "2026-11-24T20:30:00.000Z", "event": "end"},
    ]
    (tmp_path / EVENTS).write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = summarise_events(LocalStorage(tmp_path))
    assert found is not None
    assert (found["outages"], found["outage_s"]) == (2, 600.5)


def test_a_summary_needs_constant_memory(tmp_path: Path) -> None:
    rows = (
        f'{{"time": "t{i}", "event": "e{i}", "reason": "r{i}"}}\n'
        f'{{"time": "t", "event": "retries", "causes": {{"c{i}": 1}}}}\n'
        for i in range(20_000)
    )
    (tmp_path / EVENTS).write_text("".join(rows))
    tracemalloc.start()
    found = summarise_events(LocalStorage(tmp_path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found is not None
    assert Counter(found["retries"]).total() == 20_000
    assert len(found["retries"]) <= 51
    assert peak < 1e6


def test_a_failure_to_write_is_reported_once_and_not_raised(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / EVENTS).mkdir()
    log = EventLog(LocalStorage(tmp_path))
    with caplog.at_level(logging.WARNING):
        log.write("start")
        log.write("end")
    assert len(caplog.records) == 1
    assert EVENTS in caplog.text


def test_an_object_is_written_again_at_most_once_a_minute_and_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = open_storage(f"memory://{tmp_path.name}")
    write_bytes(storage, EVENTS, b'{"time": "t", "event": "end"}\n{"cut')
    written: list[bytes] = []
    monkeypatch.setattr(events, "write_bytes", lambda s, n, data: written.append(data))
    log = EventLog(storage)
    for _ in range(5):
        log.write("restricted")
        log.flush()
    assert len(written) == 1
    log.flush(at_once=True)
    log.flush(at_once=True)  # nothing new
    assert len(written) == 2
    write_bytes(storage, EVENTS, written[-1])
    assert [e["event"] for e in read_events(storage)] == ["end", *["restricted"] * 5]


def test_earlier_events_survive_an_object_store_that_fails_for_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = open_storage(f"memory://{tmp_path.name}")
    EventLog(storage).write("start")

    def fails(*args: object) -> bytes:
        raise RuntimeError("503 from http://user:hunter2@store")

    log = EventLog(storage)
    with monkeypatch.context() as patch:
        patch.setattr(events, "read_bytes", fails)
        log.write("restricted")
    assert read_bytes(storage, EVENTS).count(b"\n") == 1
    log.flush(at_once=True)
    assert [e["event"] for e in read_events(storage)] == ["start", "restricted"]
