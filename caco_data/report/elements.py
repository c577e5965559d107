"""Parts of a page: sections with facts, charts, tables and stacks of images.

They hold plain values; `caco_data.report.page` writes them as HTML.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from bokeh.embed import json_item
from bokeh.plotting import figure as Figure


@dataclass(frozen=True)
class Table:
    """A table of text."""

    head: tuple[str, ...]
    """Names of the columns."""
    rows: tuple[tuple[str, ...], ...]
    """Values as text, one per column."""
    note: str = ""
    """Sentence below the table."""


@dataclass(frozen=True)
class Chart:
    """A chart with the same figures as a table."""

    title: str
    text: str
    """What the chart shows: a sentence, also read by screen readers."""
    item: str
    """The Bokeh figure as JSON (`bokeh.embed.json_item`)."""
    table: Table
    is_map: bool = False
    """Whether a click on a point opens a location."""
    wide: bool = False
    """Whether it takes the whole width of the page."""


@dataclass(frozen=True)
class Picture:
    """A tile as an image."""

    source: str
    """`data:` URL."""
    text: str
    """Date, cloud cover and clear fraction, in words."""
    day: str
    """Date of the acquisition, ISO 8601."""


@dataclass(frozen=True)
class StackPictures:
    """The images of a location."""

    location_id: int
    title: str
    """Id and place."""
    note: str
    """What is known of its change; empty if nothing is."""
    periods: tuple[tuple[str, tuple[Picture, ...]], ...]
    """Name and tiles of each period, in the order of time."""
    mark: tuple[float, float] | None = None
    """Place of the largest change: fractions of the width (from the left) and the height (from the
    top) of a patch."""


@dataclass(frozen=True)
class Gallery:
    """Stacks of some locations."""

    title: str
    text: str
    """Which locations are shown, in which order and which bands."""
    stacks: tuple[StackPictures, ...]


@dataclass(frozen=True)
class Section:
    """All about one data set, run or evaluation, or several of a kind together."""

    title: str
    lead: str
    """A sentence that states the most important figures."""
    facts: tuple[tuple[str, str], ...] = ()
    """Names and values."""
    charts: tuple[Chart, ...] = ()
    tables: tuple[tuple[str, Table], ...] = ()
    """Titles and tables without a chart."""
    galleries: tuple[Gallery, ...] = ()
    details: dict[str, Any] = field(default_factory=dict)
    """Values that the page's script needs, as JSON."""
    settings: Table | None = None


def make_chart(
    title: str, text: str, figure: Figure, table: Table, *, is_map: bool = False, wide: bool = False
) -> Chart:
    """Serialise a Bokeh figure as a chart."""
    return Chart(title, text, json.dumps(json_item(figure)), table, is_map, wide)


def table_of(head: Sequence[str], rows: Sequence[Sequence[object]], note: str = "") -> Table:
    """Table whose values are converted to text: numbers with separators, `None` as a dash."""
    return Table(tuple(head), tuple(tuple(map(shown, row)) for row in rows), note)


def shown(value: object) -> str:
    """Convert a value to text."""
    if value is None or value == "":
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    if isinstance(value, list | tuple):
        return ", ".join(map(shown, value))
    return str(value)
