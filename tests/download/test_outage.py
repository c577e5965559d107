from __future__ import annotations

import pytest

from caco_data.download.outage import OutageWatch
from caco_data.errors import RefusedError
from caco_data.sources.tally import Counts


def totals(answers: int, failures: int) -> Counts:
    return Counts(answers=answers, retries={"503": failures})


def test_an_outage_is_reported_once_per_minute_and_ends_with_the_next_answer(
    caplog: pytest.LogCaptureFixture,
) -> None:
    watch = OutageWatch(600)
    watch.update(0, totals(5, 0), "")
    watch.update(1000, totals(5, 0), "")  # nothing was asked
    for second in range(1000, 1185, 5):
        watch.update(second, totals(5, second - 999), "503 (overloaded).")
    assert watch.seconds(1185) == 185
    watch.update(1190, totals(6, 200), "503 (overloaded).")
    assert watch.seconds(1195) == 0
    watch.update(1900, totals(6, 200), "503 (overloaded).")
    assert [record.getMessage() for record in caplog.records] == [
        "no answer from the service for 1 min (503 (overloaded)); retrying for up to 10 min",
        "no answer from the service for 2 min (503 (overloaded)); retrying for up to 10 min",
        "no answer from the service for 3 min (503 (overloaded)); retrying for up to 10 min",
        "the service answers again after 3 min",
    ]


def test_a_long_outage_ends_the_run() -> None:
    watch = OutageWatch(600)
    watch.update(10, totals(5, 0), "")
    watch.update(20, totals(5, 1), "503.")
    watch.update(620, totals(5, 30), "503.")
    with pytest.raises(RefusedError, match=r"not answered for 10 min: 503.*--max-outage"):
        watch.update(621, totals(5, 30), "503.")
