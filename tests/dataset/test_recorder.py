from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from caco_data.dataset.layout import EVENTS
from caco_data.dataset.recorder import Progress, Recorder
from caco_data.errors import RefusedError
from caco_data.storage import LocalStorage
from caco_data.types import Outcome, Rejection


@dataclass
class FakeProgress:
    done: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    pending: int = 10
    requests: int = 0
    nbytes: int = 0
    elapsed_s: float = 0.0
    retries: Counter[str] = field(default_factory=Counter)
    window: int = 0
    restricted: bool = False
    outage_s: float = 0.0
    outage_cause: str = ""
    workers: frozenset[str] = frozenset()


def events(root: Path) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in (root / EVENTS).read_text().splitlines()]
    return [{k: v for k, v in entry.items() if k != "time"} for entry in found]


def record(root: Path, *steps: dict[str, Any]) -> list[dict[str, Any]]:
    """Events between the start and the end of a run with one second per step."""
    now = FakeProgress()
    with Recorder(LocalStorage(root), 40, now) as recorder:
        for step in steps:
            now.elapsed_s += 1
            for name, value in step.items():
                setattr(now, name, value)
            recorder.progress(now)
    return events(root)[1:-1]


def test_a_run_has_a_start_and_an_end(tmp_path: Path) -> None:
    now = FakeProgress(pending=2)
    for resumed in (False, True):
        with Recorder(LocalStorage(tmp_path), 40, now) as recorder:
            recorder.outcome(Outcome(0, b"part"))
            recorder.outcome(Outcome(1, rejection=Rejection(1, "nodata", "slot 2")))
            recorder.outcome(Outcome(2, failure="503: unavailable"))
            now.done, now.pending, now.requests, now.nbytes, now.elapsed_s = 1, 1, 30, 99, 2.04
            now.rejected["nodata"] = 1
        start, rejected, failed, end = events(tmp_path)[-4:]
        assert start["event"] == "start"
        assert start["resumed"] is resumed
        assert start["software"].startswith("caco-data ")
        assert rejected == {
            "event": "rejected", "location_id": 1, "reason": "nodata", "detail": "slot 2",
        }  # fmt: skip
        assert failed == {"event": "failed", "location_id": 2, "detail": "503: unavailable"}
        assert end == {
            "event": "end", "complete": 1, "rejected": {"nodata": 1}, "pending": 1, "requests": 30,
            "bytes": 99, "seconds": 2.0,
        }  # fmt: skip
    assert len(events(tmp_path)) == 8


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (RefusedError("Quota used up", "p", "Wait"), "Quota used up (p). Wait."),
        (KeyboardInterrupt(), "Interrupted by ^C or SIGTERM"),
        (OSError(28, "No space left"), "[Errno 28] No space left"),
    ],
)
def test_an_early_end_is_recorded_with_its_reason(
    error: BaseException, reason: str, tmp_path: Path
) -> None:
    with pytest.raises(type(error)), Recorder(LocalStorage(tmp_path), 40, FakeProgress()):
        raise error
    *_, stopped, end = events(tmp_path)
    assert stopped == {"event": "stopped", "reason": reason}
    assert end["event"] == "end"


def test_workers_that_leave_or_arrive_after_the_start_are_recorded(tmp_path: Path) -> None:
    steps = [{"workers": frozenset(names)} for names in ("", "ab", "ab", "b", "bc", "", "d")]
    assert record(tmp_path, *steps) == [
        {"event": "worker lost", "worker": "a"},
        {"event": "worker started", "worker": "c"},
        {"event": "worker lost", "worker": "b"},
        {"event": "worker lost", "worker": "c"},
        {"event": "worker started", "worker": "d"},
    ]


def test_an_outage_is_recorded_when_it_begins_and_ends(tmp_path: Path) -> None:
    found = record(
        tmp_path, {"outage_s": 30.0, "outage_cause": "503"}, {"outage_s": 31.0}, {"outage_s": 0.0}
    )
    assert found[0].pop("since") > "2026"
    assert found == [
        {"event": "outage", "cause": "503"},
        {"event": "outage over", "seconds": 32.0},
    ]


def test_a_smaller_window_is_throttling_unless_workers_or_restrictions_explain_it(
    tmp_path: Path,
) -> None:
    two, one = frozenset("ab"), frozenset("a")
    found = record(
        tmp_path,
        {"window": 40, "workers": two},
        {"window": 20},
        {"window": 5},
        {"window": 6},
        {"window": 3, "workers": one},
        {"window": 1, "restricted": True},
    )
    assert found == [
        {"event": "throttled", "window": 20, "of": 40},
        {"event": "worker lost", "worker": "b"},
        {"event": "restricted"},
        {"event": "throttled", "window": 5, "of": 40},  # the smallest since the last line
    ]


def test_retries_have_one_line_a_minute_and_one_at_the_end(tmp_path: Path) -> None:
    steps = [{"retries": Counter({"429": i, "timeout": i // 50})} for i in range(1, 131)]
    found = record(tmp_path, *steps)
    assert [entry["causes"] for entry in found] == [
        {"429": 1}, {"429": 60, "timeout": 1}, {"429": 60, "timeout": 1}, {"429": 9},
    ]  # fmt: skip


def test_the_counts_of_a_lost_worker_do_not_hide_later_retries(tmp_path: Path) -> None:
    steps = [{"retries": Counter({"429": n})} for n in (5, 2, 3)]
    causes = Counter[str]()
    for entry in record(tmp_path, *steps):
        causes.update(entry["causes"])
    assert causes == {"429": 6}


def test_rare_causes_are_counted_together(tmp_path: Path) -> None:
    causes = Counter({f"cause {i}": 1 + (i < 20) for i in range(100)})
    (line,) = record(tmp_path, {"retries": causes})
    assert len(line["causes"]) == 21
    assert line["causes"]["other"] == 80


def _fits() -> Progress:
    """Let mypy compare the fake with the protocol."""
    return FakeProgress()
