"""Bokeh figures of the page: lines, histograms, bars and calendars.

Backgrounds are transparent and the script of the page sets the colours of text and grid, so that a
figure fits the light and the dark page. Series differ in dash or shape as well as in colour.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from bokeh.models import ColumnDataSource, HoverTool
from bokeh.plotting import figure as Figure
from numpy.typing import NDArray

#: Colours with a contrast of at least 3:1 on the light and on the dark page.
COLOURS = ("#2f7ed8", "#c8690a", "#2a8a57", "#b5489f", "#7a6ff0", "#8a7400", "#0e8a8a", "#c94f4f")
DASHES = ("solid", "dashed", "dotted", "dotdash", "dashdot")
MARKERS = ("circle", "triangle", "square", "diamond", "inverted_triangle", "plus")
HEIGHT_PX = 300

Floats = NDArray[np.float64]


def base_figure(x_label: str, y_label: str, tools: str = "pan,box_zoom,reset", **more: Any) -> Any:
    """Return an empty figure of the page's width."""
    made = Figure(
        x_axis_label=x_label, y_axis_label=y_label, tools=tools, height=HEIGHT_PX,
        sizing_mode="stretch_width", toolbar_location="above", min_border=8, **more,
    )  # fmt: skip
    made.background_fill_color = made.border_fill_color = None
    made.outline_line_color = None
    made.toolbar.logo = None
    return made


def hover(*fields: tuple[str, str], **more: Any) -> HoverTool:
    """Tool that shows fields of the point below the pointer."""
    return HoverTool(tooltips=list(fields), limit=5, **more)


def place_legend(made: Any, columns: int = 2) -> None:
    """Put the legend, whose entries hide their series, below the figure."""
    legend = made.legend[0]
    legend.click_policy = "hide"
    legend.label_text_font_size = "12px"
    legend.ncols = columns
    legend.spacing = legend.padding = legend.margin = 2
    legend.border_line_color = None
    made.add_layout(legend, "below")


def line_figure(
    x_label: str,
    y_label: str,
    series: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    **more: Any,
) -> Any:
    """Lines with markers, by name: x and y."""
    made = base_figure(x_label, y_label, **more)
    for i, (name, (x, y)) in enumerate(series.items()):
        source = ColumnDataSource({"x": np.asarray(x), "y": np.asarray(y), "name": [name] * len(x)})
        colour, dash = COLOURS[i % len(COLOURS)], DASHES[i % len(DASHES)]
        label = {"legend_label": name} if len(series) > 1 else {}
        made.line("x", "y", source=source, color=colour, line_dash=dash, line_width=2, **label)
        points = made.scatter(
            "x", "y", source=source, color=colour, marker=MARKERS[i % len(MARKERS)], size=6, **label
        )
        when = "@x{%Y-%m-%d %H:%M:%S}" if more.get("x_axis_type") == "datetime" else "@x{0,0.####}"
        made.add_tools(
            hover(("", "@name"), (x_label, when), (y_label, "@y{0,0.####}"), renderers=[points],
                  formatters={"@x": "datetime"} if "%" in when else {})
        )  # fmt: skip
    if len(series) > 1:
        place_legend(made)
    return made


def histogram_figure(
    x_label: str,
    y_label: str,
    edges: Floats,
    counts: Mapping[str, Sequence[float] | NDArray[Any]],
    curves: Mapping[str, tuple[Floats, Floats]] | None = None,
    **more: Any,
) -> Any:
    """Histograms as steps, by name, with theoretical curves as dashed lines."""
    made = base_figure(x_label, y_label, **more)
    several = len(counts) + len(curves or {}) > 1
    for i, (name, values) in enumerate(counts.items()):
        source = ColumnDataSource(
            {"left": edges[:-1], "right": edges[1:], "top": np.asarray(values, float)}
        )
        label = {"legend_label": name} if several else {}
        bars = made.quad(
            left="left", right="right", top="top", bottom=0, source=source,
            fill_color=COLOURS[i], fill_alpha=0.35, line_color=COLOURS[i],
            line_dash=DASHES[i % len(DASHES)], hatch_pattern=(" ", "right_diagonal_line")[i % 2],
            hatch_color=COLOURS[i], hatch_alpha=0.6, **label,
        )  # fmt: skip
        made.add_tools(
            hover((x_label, "@left{0,0.###} – @right{0,0.###}"), (name, "@top{0,0.#}"),
                  renderers=[bars])
        )  # fmt: skip
    for i, (name, (x, y)) in enumerate((curves or {}).items(), start=len(counts)):
        made.line(x, y, color=COLOURS[i], line_width=2.5, line_dash="dashed", legend_label=name)
        if len(x) < 50:  # values at whole numbers
            made.scatter(x, y, color=COLOURS[i], size=7, marker=MARKERS[1], legend_label=name)
    if several:
        place_legend(made)
    made.y_range.start = 0
    return made


def histogram_table(
    x_label: str, edges: Floats, columns: Mapping[str, Sequence[float] | NDArray[Any]]
) -> tuple[list[str], list[list[object]]]:
    """Heading and rows of the table of a histogram."""
    ranges = [f"{a:.4g} – {b:.4g}" for a, b in pairwise(edges.tolist())]
    values = [np.asarray(column).tolist() for column in columns.values()]
    return [x_label, *columns], [list(row) for row in zip(ranges, *values, strict=True)]


def bar_figure(x_label: str, names: Sequence[str], values: Sequence[float]) -> Any:
    """Horizontal bars with their values, the first on top."""
    made = base_figure(x_label, "", tools="", y_range=list(reversed(names)))
    made.height = 90 + 34 * max(1, len(names))
    source = ColumnDataSource(
        {"name": list(names), "value": list(values), "text": [f"{v:,.4g}" for v in values]}
    )
    made.hbar(y="name", right="value", height=0.6, source=source, color=COLOURS[0], fill_alpha=0.6)
    made.text(
        x="value", y="name", text="text", source=source, x_offset=4, text_baseline="middle",
        text_font_size="12px", name="ink",
    )  # fmt: skip
    made.x_range.start = 0
    made.x_range.range_padding = 0.4
    made.ygrid.grid_line_color = None
    return made


def calendar_figure(
    rows: Sequence[str], columns: Sequence[str], counts: NDArray[np.int64], counted: str = "tiles"
) -> Any:
    """Cells of a grid, shaded by their count, with the count as text where it fits.

    Parameters
    ----------
    rows, columns : sequence of str
        Labels; the first row is on top.
    counts : ndarray, shape (len(rows), len(columns))
        Counts.
    counted : str
        What the counts are of.
    """
    made = base_figure("", "", tools="", x_range=list(columns), y_range=list(reversed(rows)))
    made.height = 80 + 34 * len(rows)
    y, x = np.nonzero(counts)
    values = counts[y, x]
    source = ColumnDataSource(
        {
            "row": [rows[i] for i in y.tolist()],
            "column": [columns[i] for i in x.tolist()],
            "count": values,
            "alpha": 0.12 + 0.55 * values / max(1, values.max(initial=1)),
            "text": [compact(int(v)) for v in values],
        }
    )
    cells = made.rect(
        "column", "row", 0.94, 0.9, source=source, fill_color=COLOURS[0], fill_alpha="alpha",
        line_color=None,
    )  # fmt: skip
    made.text(
        "column", "row", "text", source=source, text_align="center", text_baseline="middle",
        text_font_size="12px", name="ink",
    )  # fmt: skip
    made.add_tools(hover(("", "@row, @column"), (counted, "@count{0,0}"), renderers=[cells]))
    if max(map(len, columns), default=0) > 4:
        made.xaxis.major_label_orientation = 0.9
        made.height += 60
    made.grid.grid_line_color = None
    made.xaxis.axis_line_color = made.yaxis.axis_line_color = None
    return made


def compact(value: int) -> str:
    """A count in at most four characters: 950, 12k, 1.2M."""
    for size, unit in ((1_000_000, "M"), (1000, "k")):
        if value >= size:
            return f"{value / size:.2g}{unit}" if value < 10 * size else f"{value // size}{unit}"
    return str(value)
