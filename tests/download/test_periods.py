"""Periods from a random start, from dates, and in some months."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caco_data.download.periods import is_in_months, periods, slot_edges, span
from caco_data.download.presets import PRESETS
from caco_data.download.settings import FetchSettings, SceneSettings
from caco_data.errors import InputError
from caco_data.types import Location

HERE = Location(7, 3.0, 45.0, 32631)
DAY = date(2021, 6, 1)


def spans(settings: SceneSettings, place: Location = HERE) -> list[tuple[str, date, date]]:
    found = periods(place, settings)
    return [(one.name, one.start.date(), one.end.date()) for one in found]


@given(
    st.integers(0, 10**6), st.integers(1, 12), st.integers(1, 12),
    st.sampled_from([0.5, 1, 1.5, 4]), st.integers(1, 12), st.integers(1, 12),
)  # fmt: skip
def test_slots_divide_periods_that_do_not_overlap(
    location_id: int, count: int, tiles: int, gap: float, first: int, last: int
) -> None:
    settings = SceneSettings(
        periods=count, tiles_per_period=tiles, gap_years=gap, period_months=6, months=(first, last)
    )
    settings.check()
    found = periods(replace(HERE, location_id=location_id), settings)
    assert len({period.name for period in found}) == count
    assert all(a.end <= b.start for a, b in itertools.pairwise(found))
    begin, end = span(settings)
    assert begin <= found[0].start.date()
    assert found[-1].end.date() <= end
    for period in found:
        edges = slot_edges(period, settings)
        assert len(edges) == tiles + 1
        assert edges == sorted(edges)
        assert (edges[0], edges[-1]) == (period.start, period.end)


@given(st.integers(0, 10**6), st.integers(1, 12), st.integers(0, 4))
def test_slots_have_equal_numbers_of_days_in_the_months(
    location_id: int, first: int, length: int
) -> None:
    last = (first + length - 1) % 12 + 1
    settings = SceneSettings(months=(first, last), tiles_per_period=3)
    for period in periods(replace(HERE, location_id=location_id), settings):
        edges = slot_edges(period, settings)
        inside = [
            sum(
                is_in_months((start + timedelta(day)).date(), settings.months)
                for day in range((end - start).days)
            )
            for start, end in itertools.pairwise(edges)
        ]
        assert max(inside) - min(inside) <= 1
        assert min(inside) >= 28 * (length + 1) // 3


def test_short_periods_start_where_most_of_their_days_are_in_the_months() -> None:
    settings = SceneSettings(months=(11, 2), period_months=4)
    for i in range(50):
        _, start, end = spans(settings, replace(HERE, location_id=i))[0]
        days = [start + timedelta(day) for day in range((end - start).days)]
        assert sum(is_in_months(day, (11, 2)) for day in days) >= 0.9 * 120


def test_periods_around_dates() -> None:
    two = SceneSettings(dates=(date(2019, 6, 1), DAY), tolerance_days=10)
    assert spans(two) == [
        ("early", date(2019, 5, 22), date(2019, 6, 12)),
        ("late", date(2021, 5, 22), date(2021, 6, 12)),
    ]
    event = SceneSettings(dates=(DAY,), before_after=True, tolerance_days=10)
    assert spans(event) == [
        ("early", date(2021, 5, 22), DAY),
        ("late", date(2021, 6, 2), date(2021, 6, 12)),
    ]
    assert span(event) == (date(2021, 5, 22), date(2021, 6, 12))


def test_periods_around_the_dates_of_a_location() -> None:
    dated, lasting = replace(HERE, dates=(DAY,)), replace(HERE, dates=(DAY, date(2021, 7, 1)))
    own = SceneSettings(table_dates=True, tolerance_days=10)
    assert spans(own, dated) == [("single", date(2021, 5, 22), date(2021, 6, 12))]
    assert spans(own, lasting) == [("single", DAY, date(2021, 7, 2))]
    event = replace(own, before_after=True)
    assert spans(event, lasting) == [
        ("early", date(2021, 5, 22), DAY),
        ("late", date(2021, 7, 2), date(2021, 7, 12)),
    ]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (SceneSettings(gap_years=0.5), "overlap"),
        (SceneSettings(before_after=True), "need its dates"),
        (SceneSettings(dates=(DAY, DAY + timedelta(60))), "overlap"),
    ],
)
def test_overlapping_periods_are_refused(settings: SceneSettings, words: str) -> None:
    with pytest.raises(InputError, match=words):
        settings.check()


def test_the_side_of_a_patch_is_a_multiple_of_60_m() -> None:
    with pytest.raises(InputError, match="Use 264"):
        FetchSettings(SceneSettings(), patch_px=266).check()


def test_presets_are_valid_and_state_their_source() -> None:
    for name, preset in PRESETS.items():
        assert preset.source
        dates = (DAY,) if name == "pair" else ()
        SceneSettings(**preset.values, dates=dates).check()
    seasons = SceneSettings(**PRESETS["ssl4eo"].values)
    last = replace(seasons, first_start=seasons.last_start)  # a random number of 0 days
    edges = slot_edges(periods(HERE, last)[0], last)
    middles = [(a + (b - a) / 2).date() for a, b in itertools.pairwise(edges)]
    published = (date(2020, 12, 21), date(2021, 3, 20), date(2021, 6, 21), date(2021, 9, 22))
    for middle, day in zip(middles, published, strict=True):
        assert abs(middle - day) <= timedelta(3)
    assert (seasons.last_start - seasons.first_start).days == 364
