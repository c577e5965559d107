"""Periods of a location: pure functions from the settings and the location to spans of time.

Periods start at a random date, `gap_years` apart, or surround given dates: those of `--dates`, or
of the location's own.
"""

from __future__ import annotations

from calendar import isleap
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache

import numpy as np

from caco_data.download.settings import SceneSettings
from caco_data.types import Location, Period, period_names

#: Length of a period of twelve months, and mean length of a year, days.
PERIOD_DAYS, _YEAR_DAYS = 365, 365.25
#: Second word of the random generator's key: makes its numbers differ from those of the sampler.
_START_STREAM = 0x5CE9E5
#: Start dates are used whose period has at least this fraction of the days in `--months` that the
#: best one has.
_MOST = 0.9

Span = tuple[date, date]


def periods(location: Location, settings: SceneSettings) -> tuple[Period, ...]:
    """Periods of a location, in order of time.

    The first one starts at a random date, which depends on the seed and the location's id only, or
    the periods surround dates.
    """
    if settings.dates or settings.table_dates:
        spans = list(_around(location.dates or settings.dates, settings))
    else:
        spans = list(_from_start(_start(location.location_id, settings), settings))
    names = period_names(settings.count)
    return tuple(
        Period(name, _midnight(start), _midnight(end))
        for name, (start, end) in zip(names, spans, strict=True)
    )


def span(settings: SceneSettings, dates: Sequence[Sequence[date]] = ()) -> Span:
    """First day of the first period, and the day after the last one, over all locations.

    `dates` are those of the locations, if they have any.
    """
    if settings.dates or settings.table_dates:
        spans = [one for some in dates or [settings.dates] for one in _around(some, settings)]
    else:
        spans = [
            one
            for start in (settings.first_start, settings.last_start)
            for one in _from_start(start, settings)
        ]
    return min(start for start, _ in spans), max(end for _, end in spans)


def length_days(settings: SceneSettings) -> int:
    """Days of a period with a random start."""
    return round(settings.period_months * PERIOD_DAYS / 12)


def _start(location_id: int, settings: SceneSettings) -> date:
    """Return the start of the first period, uniform over the permitted days."""
    bits = np.random.Philox(key=[settings.seed, _START_STREAM], counter=[location_id, 0, 0, 0])
    rng = np.random.Generator(bits)
    if settings.months is None:
        days = (settings.last_start - settings.first_start).days + 1
        return settings.first_start + timedelta(int(rng.integers(days)))
    permitted = _starts(
        settings.first_start, settings.last_start, length_days(settings), settings.months
    )
    return permitted[int(rng.integers(len(permitted)))]


@lru_cache(maxsize=4)
def _starts(first: date, last: date, length: int, months: tuple[int, int]) -> tuple[date, ...]:
    """Start dates whose period has nearly the most days in some months."""
    days = (last - first).days + 1
    inside = [is_in_months(first + timedelta(day), months) for day in range(days + length)]
    total = np.concatenate([[0], np.cumsum(inside)])
    count = (total[length:] - total[:-length])[:days]
    return tuple(
        first + timedelta(day) for day in np.flatnonzero(count >= _MOST * count.max()).tolist()
    )


def is_in_months(day: date, months: tuple[int, int] | None) -> bool:
    """Whether a day is in the months from the first to the last one, also across the new year."""
    if months is None:
        return True
    first, last = months
    if first <= last:
        return first <= day.month <= last
    return day.month >= first or day.month <= last


def _from_start(t1: date, settings: SceneSettings) -> Iterator[Span]:
    """Periods from t1 on: the same calendar day in later years (28 February for the 29th).

    A fraction of a year is added in days.
    """
    length = timedelta(length_days(settings))
    for number in range(settings.periods):
        years, fraction = divmod(number * settings.gap_years, 1)
        year = t1.year + int(years)
        day = 28 if (t1.month, t1.day) == (2, 29) and not isleap(year) else t1.day
        start = t1.replace(year=year, day=day) + timedelta(round(fraction * _YEAR_DAYS))
        yield start, start + length


def _around(dates: Sequence[date], settings: SceneSettings) -> Iterator[Span]:
    """Periods around dates.

    Before and after an event: its first and last day belong to neither. Of a location with a start
    and an end: from the one to the other. Otherwise `tolerance_days` to either side of each date.
    """
    tolerance, day = timedelta(settings.tolerance_days), timedelta(1)
    first, last = dates[0], dates[-1]
    if settings.before_after:
        yield first - tolerance, first
        yield last + day, last + day + tolerance
    elif settings.table_dates and len(dates) > 1:
        yield first, last + day
    else:
        for one in dates:
            yield one - tolerance, one + tolerance + day


def slot_edges(period: Period, settings: SceneSettings) -> list[datetime]:
    """Edges of the slots of a period: equal parts of it, or of its days in `--months`."""
    count = settings.tiles_per_period
    if settings.months is None:
        step = (period.end - period.start) / count
        return [period.start + t * step for t in range(count + 1)]
    days = [period.start + timedelta(day) for day in range((period.end - period.start).days)]
    inside = [day for day in days if is_in_months(day, settings.months)] or days
    starts = [inside[len(inside) * t // count] for t in range(1, count)]
    return [period.start, *starts, period.end]


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
