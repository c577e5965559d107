"""The map of locations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from bokeh.models import ColumnDataSource, WheelZoomTool
from numpy.typing import NDArray

from caco_data.report.contents import Places
from caco_data.report.figures import COLOURS, MARKERS, base_figure, hover, place_legend
from caco_data.world.land import load_land

#: Points of a map. Of more locations, as many are shown, drawn at random.
MAX_POINTS = 100_000
#: Columns of the grid on which the coast is traced.
_GRID = 1440
#: Tolerance of the traced coast, in cells of the grid.
_TOLERANCE = 0.35
#: Margin around the locations, as a fraction of their extent.
_MARGIN = 0.08

Floats = NDArray[np.float64]
Box = tuple[float, float, float, float]


def map_figure(
    places: Places, kinds: Mapping[str, NDArray[np.bool_]], days: Mapping[str, list[str]]
) -> tuple[Any, int]:
    """Plot locations over the coast.

    Parameters
    ----------
    places : Places
        The locations.
    kinds : mapping
        Which locations are shown with a symbol of their own, (N,), by name; disjoint.
    days : mapping
        Dates to show below the pointer, (N,), by period.

    Returns
    -------
    figure, int
        The map, and the number of locations that it shows.
    """
    rows = np.arange(places.location_id.size)
    if rows.size > MAX_POINTS:
        rows = np.sort(np.random.default_rng(0).choice(rows, MAX_POINTS, replace=False))
    box = west, east, south, north = map_box(places.longitude, places.latitude)
    made = base_figure(
        "longitude, degrees", "latitude, degrees", "pan,box_zoom,reset,save",
        x_range=(west, east), y_range=(south, north), output_backend="webgl", lod_threshold=20_000,
    )  # fmt: skip
    wheel = WheelZoomTool()
    made.add_tools(wheel)
    made.toolbar.active_scroll = wheel
    x, y = coast(box)
    made.line(x, y, color="#7f8a94", line_width=1)
    size = float(np.clip(60 / np.sqrt(max(1, rows.size)), 2.5, 9))
    fields = [("location", "@id"), ("city", "@city"), ("", "@kind")]
    fields += [(period, f"@{{{period}}}") for period in days]
    for i, (kind, chosen) in enumerate(kinds.items()):
        own = rows[chosen[rows]]
        source = ColumnDataSource(
            {
                "x": places.longitude[own].astype(np.float32),
                "y": places.latitude[own].astype(np.float32),
                "id": places.location_id[own].astype(np.int32),
                "city": [_place(places, row) for row in own.tolist()],
                "kind": [kind] * own.size,
                **{period: [texts[row] for row in own.tolist()] for period, texts in days.items()},
            }
        )
        marker = "x" if kind == "rejected" else MARKERS[i % len(MARKERS)]
        points = made.scatter(
            "x", "y", source=source, marker=marker, size=size * (1.3 if i else 1),
            color=COLOURS[i % len(COLOURS)], fill_alpha=0.7, line_width=1.5 if marker == "x" else 0,
            legend_label=f"{kind}: {own.size:,}", name="locations",
        )  # fmt: skip
        made.add_tools(hover(*fields, renderers=[points]))
    made.add_tools("tap")
    place_legend(made, len(kinds))
    return made, rows.size


def _place(places: Places, row: int) -> str:
    return ", ".join(filter(None, (places.city[row], places.country[row])))


def map_box(longitude: Floats, latitude: Floats) -> Box:
    """West, east, south and north of the map, degrees: the world, or the locations' surroundings.

    About 2.1 times as wide as high.
    """
    if np.ptp(longitude) > 120 or np.ptp(latitude) > 60:
        return -180.0, 180.0, -60.0, 85.0
    middle = (longitude.max() + longitude.min()) / 2, (latitude.max() + latitude.min()) / 2
    height = max(np.ptp(latitude), np.ptp(longitude) / 2.1, 0.2) * (1 + 2 * _MARGIN)
    width = 2.1 * height
    return (
        middle[0] - width / 2, middle[0] + width / 2, middle[1] - height / 2, middle[1] + height / 2
    )  # fmt: skip


def coast(box: Box) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Outlines of the bundled land within a box: longitudes and latitudes, parted by NaN."""
    from contourpy import contour_generator
    from shapely import LineString

    west, east, south, north = box
    step = (east - west) / _GRID
    x = west + (np.arange(_GRID) + 0.5) * step
    y = south + (np.arange(round((north - south) / step)) + 0.5) * step
    land = load_land()
    wrapped = (x + 180) % 360 - 180
    inside = np.stack([land.contains(wrapped, np.full(x.size, row)) for row in y])
    lines: list[Floats] = []
    for line in contour_generator(x, y, inside.astype(np.float32)).lines(0.5):
        points = np.asarray(LineString(line).simplify(_TOLERANCE * step).coords)
        lines += [points, np.full((1, 2), np.nan)]
    joined = np.concatenate(lines) if lines else np.empty((0, 2))
    return joined[:, 0].astype(np.float32), joined[:, 1].astype(np.float32)
