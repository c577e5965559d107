from __future__ import annotations

from datetime import date

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caco_data.sentinel2 import ALL_BANDS, RGB_BANDS
from cli.types import BANDS, COUNT, DateRange


@given(st.integers(1, 10**9))
def test_counts_are_read_back(n: int) -> None:
    assert COUNT.convert(str(n), None, None) == n
    assert COUNT.convert(f" {n}K ", None, None) == 1_000 * n
    assert COUNT.convert(f"{n}.5m", None, None) == 1_000_000 * n + 500_000


@pytest.mark.parametrize("text", ["", "k", "0", "-1", "1.5", "1e3", "0.0001k", "nan", "inf", "1 0"])
def test_other_counts_are_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="not a positive whole number"):
        COUNT.convert(text, None, None)


def test_bands() -> None:
    assert BANDS.convert("RGB", None, None) == RGB_BANDS
    assert BANDS.convert("all", None, None) == ALL_BANDS
    assert BANDS.convert("b8a, B2", None, None) == ("B8A", "B2")
    for text, words in (("B10", "no band 'B10'"), ("", "no band ''"), ("B4,b4", "twice")):
        with pytest.raises(click.BadParameter, match=words):
            BANDS.convert(text, None, None)


def test_date_ranges() -> None:
    day = date(2020, 2, 29)
    assert DateRange().convert("2020-02-29", None, None) == (day, day)
    assert DateRange().convert("2020-02-29..2021-01-01", None, None) == (day, date(2021, 1, 1))
    for text in ("2021-02-29", "2020", "2020-02-29...2021-01-01", "2020-02-29..", "20200229"):
        with pytest.raises(click.BadParameter, match="form"):
            DateRange().convert(text, None, None)
    with pytest.raises(click.BadParameter, match="ends before it starts"):
        DateRange().convert("2020-02-29..2020-02-28", None, None)
