from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from caco_data.errors import InputError
from caco_data.sampling.location_dates import extremes, has_dates, with_dates
from caco_data.sampling.location_files import read_locations
from caco_data.sampling.locations import LocationTable


def table(tmp_path: Path, columns: str, *rows: str) -> LocationTable:
    path = tmp_path / "points.csv"
    lines = [f"longitude,latitude,{columns}", *(f"{i},45,{row}" for i, row in enumerate(rows))]
    path.write_text("\n".join(lines) + "\n")
    return read_locations(path)


def test_dates_of_locations(tmp_path: Path) -> None:
    dated = with_dates(table(tmp_path, "date", "2021-06-01", "2019-02-03"))
    assert [place.dates for place in dated.rows(dated.location_id)] == [
        (date(2021, 6, 1),), (date(2019, 2, 3),),
    ]  # fmt: skip
    assert dated.dates is not None
    assert extremes(dated.dates) == [(date(2019, 2, 3),), (date(2021, 6, 1),)]
    spans = with_dates(table(tmp_path, "start,end", "2021-06-01,2021-07-01")).head(1)
    assert next(spans.rows(spans.location_id)).dates == (date(2021, 6, 1), date(2021, 7, 1))


@pytest.mark.parametrize(
    ("columns", "row", "words"),
    [
        ("name", "x", "has no dates"),
        ("date", "soon", "Not a date"),
        ("date", "", "has no date"),
        ("start,end", "2021-06-01,2021-05-01", "Location 0 is from"),
        ("start,end", "2021-06-01,2023-05-01", "Location 0 is from"),
    ],
)
def test_tables_without_usable_dates(tmp_path: Path, columns: str, row: str, words: str) -> None:
    found = table(tmp_path, columns, row)
    assert has_dates(found) == (columns != "name")
    with pytest.raises(InputError, match=words):
        with_dates(found)
