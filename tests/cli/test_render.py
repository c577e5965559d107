from __future__ import annotations

from collections import Counter
from pathlib import Path

from caco_data.dataset.events import EventLog
from caco_data.dataset.reader import open_dataset
from caco_data.dataset.summary import summarise
from caco_data.download.estimate import estimate
from caco_data.download.settings import (
    ClusterSettings,
    DownloadSettings,
    FetchSettings,
    SceneSettings,
)
from caco_data.sources.simulated.settings import SimulatedSettings
from cli import render
from tests.support.plain_source import FETCH, make_dataset, outcomes


def test_estimates() -> None:
    settings = DownloadSettings(SimulatedSettings(), FetchSettings(SceneSettings()))
    plan = estimate(100_000, settings, ClusterSettings(requests_per_second=100))
    text = render.estimate_table(plan)
    assert "requests  about 1,250,000, at least 1,200,000\n" in text
    assert "782 shards" in text
    assert (
        "at least 3.5 hours at the maximum rate, about 8.7 hours if each request takes 1 s" in text
    )
    assert render.estimate_line(plan).startswith("about 1,250,000 requests, ")


def test_sizes() -> None:
    sizes = [render.size(n) for n in (0, 999, 4_720_000, 3e12)]
    assert sizes == ["0 B", "999 B", "4.72 MB", "3.0 TB"]


def test_durations() -> None:
    texts = [render.duration(s) for s in (None, 0, 59.6, 3599, 3723)]
    assert texts == ["?", "0:00", "1:00", "59:59", "1:02:03"]


def test_retries() -> None:
    assert render.retries(Counter()) == "0 retries"
    assert render.retries(Counter({"429": 10, "timeout": 2})) == "12 retries (429 x10, timeout x2)"


def test_a_summary_is_one_line_per_subject(tmp_path: Path) -> None:
    make_dataset(str(tmp_path), outcomes(4, fetch=FETCH), FETCH)
    lines = render.dataset_summary(summarise(open_dataset(tmp_path))).splitlines()
    assert [line[:11].strip() for line in lines] == [
        "data set", "format", "source", "bands", "locations", "rejected", "shards", "UTM zones",
        "early", "late",
    ]  # fmt: skip
    assert lines[3] == "bands      B4, B3, B2 as uint16"
    assert lines[-1].startswith("late       ")
    assert lines[-1].endswith("% clear")


def test_events_are_one_line(tmp_path: Path) -> None:
    storage = make_dataset(str(tmp_path), outcomes(2))
    log = EventLog(storage)
    log.write("start")
    summary = summarise(open_dataset(tmp_path))
    assert "\nevents" not in render.dataset_summary(summary)
    log.write("retries", causes={"429": 10, "timeout": 2})
    log.write("throttled", window=20, of=40)
    log.write("outage", since="2026-11-24T18:00:00.000Z", cause="503")
    log.write("outage over", seconds=123)
    log.write("worker lost", worker="tcp://127.0.0.1:1")
    log.write("stopped", reason="Quota used up.")
    log.write("start")
    last = render.dataset_summary(summarise(open_dataset(tmp_path))).splitlines()[-1]
    assert last == (
        "events     2 runs, 12 retries (429 x10, timeout x2), throttled, 1 outage (2:03), "
        "1 worker lost, last stopped by: Quota used up."
    )
