"""Parameter types: counts, durations, band lists, date ranges."""

from __future__ import annotations

import math
import re
from datetime import date
from typing import Literal

import click

_SUFFIX = {"": 1, "k": 1_000, "m": 1_000_000}
_UNIT_S = {"": 1, "s": 1, "m": 60, "h": 3600}


class Count(click.ParamType):  # type: ignore[type-arg]
    """A positive whole number that may end in k or m: `100000`, `100k`, `2.5k`, `1m`."""

    name = "count"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        """Parse a count; the error lists the accepted forms."""
        if isinstance(value, int):
            return value
        match = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([km]?)\s*", str(value).lower())
        number = float(match[1]) * _SUFFIX[match[2]] if match else math.nan
        if not (number >= 1 and number == round(number)):
            self.fail(f"{value!r} is not a positive whole number (100000, 100k, 2.5k, 1m)",
                      param, ctx)  # fmt: skip
        return round(number)


class Duration(click.ParamType):  # type: ignore[type-arg]
    """Seconds, or a number with the unit s, m or h: `90`, `90s`, `10m`, `12h`."""

    name = "duration"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Parse a duration into seconds; the error lists the accepted forms."""
        match = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([smh]?)\s*", str(value).lower())
        if match is None:
            self.fail(f"{value!r} is not a duration (90, 90s, 10m, 12h)", param, ctx)
        return float(match[1]) * _UNIT_S[match[2]]


class Bands(click.ParamType):  # type: ignore[type-arg]
    """`rgb`, `all`, or a list of L2A band names, in storage order."""

    name = "bands"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        """Parse a list of bands; the error lists the existing bands."""
        from caco_data.sentinel2 import ALL_BANDS, RGB_BANDS

        if isinstance(value, tuple):
            return value
        text = str(value)
        if text.lower() in ("rgb", "all"):
            return RGB_BANDS if text.lower() == "rgb" else ALL_BANDS
        bands = tuple(part.strip().upper() for part in text.split(","))
        bad = [band for band in bands if band not in ALL_BANDS]
        if bad:
            self.fail(f"no band {bad[0]!r}; the bands are {', '.join(ALL_BANDS)}", param, ctx)
        if len(set(bands)) < len(bands):
            self.fail(f"{text!r} contains a band twice", param, ctx)
        return bands


class DateRange(click.ParamType):  # type: ignore[type-arg]
    """`2019-01-01..2020-12-31`, or one date."""

    name = "date..date"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[date, date]:
        """Parse a range; the error states the form."""
        match = re.fullmatch(r"(\d{4}-\d\d-\d\d)(?:\.\.(\d{4}-\d\d-\d\d))?", str(value).strip())
        try:
            if match is None:
                raise ValueError
            first = date.fromisoformat(match[1])
            last = date.fromisoformat(match[2] or match[1])
        except ValueError:
            self.fail(f"{value!r} is not of the form 2019-01-01..2020-12-31", param, ctx)
        if last < first:
            self.fail(f"{value!r} ends before it starts", param, ctx)
        return first, last


class Dates(click.ParamType):  # type: ignore[type-arg]
    """`2019-06-01,2021-06-01`, ascending, or `table`."""

    name = "dates"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[date, ...] | Literal["table"]:
        """Parse dates; the error states the form."""
        if isinstance(value, tuple):
            return value
        text = str(value).strip()
        if text == "table":
            return "table"
        try:
            dates = tuple(date.fromisoformat(part.strip()) for part in text.split(","))
        except ValueError:
            self.fail(f"{value!r} is neither of the form 2019-06-01,2021-06-01 nor 'table'",
                      param, ctx)  # fmt: skip
        if list(dates) != sorted(set(dates)):
            self.fail(f"the dates {value!r} are not in order of time", param, ctx)
        if len(dates) > MAX_DATES:
            self.fail(f"more than {MAX_DATES} dates", param, ctx)
        return dates


class Months(click.ParamType):  # type: ignore[type-arg]
    """First and last month: `4-10`, `11-2` across the new year, or `7`."""

    name = "months"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        """Parse months; the error states the form."""
        if isinstance(value, tuple):
            return value
        match = re.fullmatch(r"\s*(\d{1,2})(?:\s*-\s*(\d{1,2}))?\s*", str(value))
        months = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
        if not all(1 <= month <= 12 for month in months):
            self.fail(f"{value!r} is not of the form 4-10", param, ctx)
        return months


#: Maximum number of periods.
MAX_DATES = 12
COUNT = Count()
DURATION = Duration()
BANDS = Bands()
