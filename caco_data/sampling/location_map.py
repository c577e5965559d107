"""Map of a locations table, meant for viewing."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caco_data.printable import printable
from caco_data.sampling.locations import LocationTable
from caco_data.sampling.settings import SampleSettings
from caco_data.world.geodesy import LATITUDE_DEGREE_MIN_M
from caco_data.world.land import load_land
from caco_data.world.land_mask import LandMask

Floats = NDArray[np.float64]
#: West, east, south and north, degrees.
Box = tuple[float, float, float, float]

#: Longer side of a map, and side of the squares in which locations are counted, pixels.
_MAP_PX, _SQUARE_PX, _DPI = 2400, 6, 200
#: Locations in the densest square from which dots are plotted per square, coloured by their count.
_CROWDED = 10
_SEA, _LAND, _DOT = "#f3f7fa", "#dcdcd4", "#6a1b7a"


def plot_map(locations: LocationTable, path: str | os.PathLike[str]) -> None:
    """Plot locations over land: the world, or the part of it that they cover.

    Parameters
    ----------
    locations : LocationTable
        At least one row.
    path : path
        PNG to write.

    Raises
    ------
    InputError
        When the land file named in the metadata cannot be read.
    """
    from matplotlib.figure import Figure

    longitude = locations.longitude
    if np.ptp(longitude % 360.0) < np.ptp(longitude):  # across the antimeridian
        longitude = longitude % 360.0
    box = west, east, south, north = _map_box(longitude, locations.latitude)
    # Ratio of a degree of latitude to one of longitude, in the middle of the map.
    aspect = 1.0 if east - west > 180 else 1 / np.cos(np.radians((south + north) / 2))
    height_deg = (north - south) * aspect
    scale = _MAP_PX / max(east - west, 1.4 * height_deg)  # pixels per degree
    width_px, height_px = round((east - west) * scale), round(height_deg * scale)

    figure = Figure(figsize=(width_px / _DPI, height_px / _DPI), dpi=_DPI)
    axes = figure.add_axes((0, 0, 1, 1))
    land = load_land(locations.metadata.get("settings", {}).get("land"))
    _plot_land(axes, land, box, width_px, height_px)
    _plot_points(axes, longitude, locations.latitude, box, width_px, height_px)
    axes.set_aspect(aspect)
    axes.set_xlim(west, east)
    axes.set_ylim(south, north)
    axes.set_xlabel("longitude, degrees", fontsize=8)
    axes.set_ylabel("latitude, degrees", fontsize=8)
    axes.tick_params(labelsize=7)
    axes.grid(alpha=0.2, linewidth=0.4, color="#31506b")
    axes.set_title(printable(_map_title(locations)), fontsize=10, loc="left", parse_math=False)
    notices = locations.metadata.get("notices", [])
    axes.annotate(
        "\n".join(map(printable, notices)), (1, 0), xytext=(0, -17), xycoords="axes fraction",
        textcoords="offset points", fontsize=4.5, ha="right", va="top", color="#666666",
        parse_math=False,
    )  # fmt: skip
    figure.savefig(path, bbox_inches="tight")


def _plot_land(axes: Any, land: LandMask, box: Box, width_px: int, height_px: int) -> None:
    from matplotlib.colors import ListedColormap

    west, east, south, north = box
    x = west + (np.arange(width_px) + 0.5) * (east - west) / width_px
    y = north - (np.arange(height_px) + 0.5) * (north - south) / height_px
    image = np.stack([land.contains(x, np.full(x.size, row)) for row in y])
    axes.imshow(
        image,
        extent=box,
        cmap=ListedColormap([_SEA, _LAND]),
        vmin=0,
        vmax=1,
        interpolation="antialiased",
    )


def _plot_points(
    axes: Any, longitude: Floats, latitude: Floats, box: Box, width_px: int, height_px: int
) -> None:
    """Plot locations as dots; if they are dense, as dots per square, coloured by their count."""
    from matplotlib.colors import LogNorm

    west, east, south, north = box
    size = (_SQUARE_PX * 72 / _DPI) ** 2
    count, x_edges, y_edges = np.histogram2d(
        longitude,
        latitude,
        (width_px // _SQUARE_PX, height_px // _SQUARE_PX),
        ((west, east), (south, north)),
    )
    if count.max() < _CROWDED:
        axes.scatter(longitude, latitude, s=size, color=_DOT, alpha=0.8, linewidths=0)
        return
    column, row = np.nonzero(count)
    order = np.argsort(count[column, row])  # the squares with the highest counts on top
    column, row = column[order], row[order]
    dots = axes.scatter(
        (x_edges[:-1] + x_edges[1:])[column] / 2, (y_edges[:-1] + y_edges[1:])[row] / 2,
        c=count[column, row], norm=LogNorm(1, count.max()), cmap="plasma_r", s=1.4 * size,
        linewidths=0,
    )  # fmt: skip
    bar = axes.figure.colorbar(dots, ax=axes, fraction=0.02, pad=0.01, format="{x:g}")
    side_km = float(y_edges[1] - y_edges[0]) * LATITUDE_DEGREE_MIN_M / 1000
    bar.set_label(f"locations per dot ({side_km:.0f} km high)", fontsize=8)
    bar.ax.tick_params(labelsize=7)


def _map_box(longitude: Floats, latitude: Floats) -> Box:
    """West, east, south and north of the map, degrees: the world, or the points and a margin."""
    if np.ptp(longitude) > 120:
        return -180.0, 180.0, min(-60.0, latitude.min() - 1), max(80.0, latitude.max() + 1)
    margin = 0.05 * max(np.ptp(longitude), np.ptp(latitude), 0.5)
    south, north = latitude.min() - margin, latitude.max() + margin
    west, east = longitude.min() - margin, longitude.max() + margin
    # Limit the aspect ratio: height / width at most 1.2, width / height at most 2.5.
    shrink = np.cos(np.radians((south + north) / 2))
    wider = max(0.0, (north - south) / shrink / 1.2 - (east - west)) / 2
    higher = max(0.0, (east - west) * shrink / 2.5 - (north - south)) / 2
    return west - wider, east + wider, south - higher, north + higher


def _map_title(locations: LocationTable) -> str:
    title = f"{len(locations):,} locations"
    if "settings" not in locations.metadata:
        return title
    choices = SampleSettings(seed=locations.metadata["seed"], **locations.metadata["settings"])
    if choices.strategy == "uniform":
        title += " uniformly on land"
    else:
        title += f" around the {choices.top_cities:,} most populous cities"
        title += f", sigma {choices.sigma_m / 1000:g} km"
    title += ", no overlap" if choices.no_overlap else ""
    title += f", within {os.path.basename(choices.within)}" if choices.within else ""
    return f"{title}, seed {choices.seed}"
