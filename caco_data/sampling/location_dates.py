"""Dates of locations, from the columns `date`, or `start` and `end`, of their table."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from caco_data.errors import InputError
from caco_data.sampling.locations import LocationTable

#: Names of the columns: the date of a location, or the first and the last date.
COLUMNS = (("date",), ("start", "end"))
#: Maximum length of a period, days.
MAX_DAYS = 366


def with_dates(locations: LocationTable) -> LocationTable:
    """Add the dates that are in the columns of a table.

    Parameters
    ----------
    locations : LocationTable
        With a column `date`, or `start` and `end`: dates, timestamps or ISO 8601 texts.

    Raises
    ------
    InputError
        When there are no such columns, a value is missing or not a date, or a location ends before
        it starts or more than `MAX_DAYS` later.
    """
    names = next((c for c in COLUMNS if set(c) <= set(locations.table.column_names)), None)
    if names is None:
        raise InputError(
            "The table of locations has no dates", "--dates table",
            "Add a column 'date', or 'start' and 'end', with dates such as 2021-06-01",
        )  # fmt: skip
    dates = np.stack([_days(locations, name) for name in names], axis=1)
    length = (dates[:, -1] - dates[:, 0]).astype(np.int64)
    bad = (length < 0) | (length >= MAX_DAYS)
    if bad.any():
        row = int(bad.argmax())
        raise InputError(
            f"Location {locations.location_id[row]} is from {dates[row, 0]} to {dates[row, -1]}",
            "columns start and end", f"Use at most {MAX_DAYS} days",
        )  # fmt: skip
    return replace(locations, dates=dates)


def extremes(dates: NDArray[np.datetime64]) -> list[tuple[date, ...]]:
    """Rows with the earliest and the latest date."""
    rows = dates[[int(dates[:, 0].argmin()), int(dates[:, -1].argmax())]]
    return [tuple(row) for row in rows.tolist()]


def has_dates(locations: LocationTable) -> bool:
    """Whether a table has columns with dates."""
    return any(set(names) <= set(locations.table.column_names) for names in COLUMNS)


def _days(locations: LocationTable, name: str) -> NDArray[np.datetime64]:
    column = locations.table[name]
    try:
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            days = np.array([text and text[:10] for text in column.to_pylist()], "datetime64[D]")
        else:
            days = column.cast(pa.date32()).to_numpy().astype("datetime64[D]")
    except (ValueError, pa.ArrowException) as error:
        raise InputError(
            f"Not a date: {str(error).splitlines()[0].rstrip('.')}", f"column {name}",
            "Use dates such as 2021-06-01",
        ) from error  # fmt: skip
    if np.isnat(days).any():
        row = int(np.isnat(days).argmax())
        raise InputError(
            f"Location {locations.location_id[row]} has no date", f"column {name}",
            "Add it, or remove the location",
        )  # fmt: skip
    return days
