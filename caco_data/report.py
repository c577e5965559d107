"""Pictures of what the pipeline made: for eyes, not for parsing.

matplotlib is imported inside the functions, always with its file-only Agg canvas.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from caco_data.dataset import LOCATIONS, TRUTH, TRUTH_SCHEMA, Dataset, read_table
from caco_data.draw import SampleSettings
from caco_data.land import load_land
from caco_data.locations import LocationTable
from caco_data.types import PERIODS

#: DN that is drawn white in true colour: bright ground, not yet cloud.
WHITE_DN = 3000
_GAMMA = 1 / 1.4


def true_colour(stack: NDArray[Any], bands: tuple[str, ...]) -> NDArray[np.uint8]:
    """Draw tiles in true colour (B4, B3, B2), or in grey where those are not there.

    Parameters
    ----------
    stack : ndarray of uint16 or uint8, shape (T, C, H, W)
        DN, or DN / 10000 * 255.
    bands : tuple of str
        Names of the C bands.

    Returns
    -------
    ndarray of uint8, shape (T, H, W, 3)
    """
    wanted = ("B4", "B3", "B2") if {"B4", "B3", "B2"} <= set(bands) else (bands[0],) * 3
    white = WHITE_DN / 10000 * 255 if stack.dtype == np.uint8 else WHITE_DN
    pixels = stack[:, [bands.index(band) for band in wanted]].transpose(0, 2, 3, 1)
    drawn: NDArray[np.uint8] = (255 * np.clip(pixels / white, 0, 1) ** _GAMMA).astype(np.uint8)
    return drawn


def draw_stacks(dataset: Dataset, path: str | os.PathLike[str], rows: int = 8) -> None:
    """Draw a contact sheet: a location a row, its five early and then its five late tiles.

    Where the truth is known, every second location is one of the most changed.

    Parameters
    ----------
    dataset : Dataset
        With 10 m bands.
    path : path
        PNG to write.
    rows : int
        Locations to draw.

    Raises
    ------
    InputError
        When the data set has no location or no 10 m band.
    """
    from matplotlib.figure import Figure

    bands = dataset.stacks().bands
    chosen = _choose(dataset, rows)
    inches, margin = 1.75, 0.15
    figure = Figure(figsize=(15.2, inches * len(chosen) + margin), dpi=100)
    panels = figure.subfigures(len(chosen), 1, squeeze=False)[:, 0]
    for panel, (location_id, title) in zip(panels, chosen, strict=True):
        grid = panel.add_gridspec(
            1, 11, width_ratios=[1] * 5 + [0.1] + [1] * 5, wspace=0.03, left=0.005, right=0.995,
            top=0.84, bottom=0.01,
        )  # fmt: skip
        panel.text(0.005, 0.99, title, fontsize=9, weight="bold", va="top")
        here = dataset.index.filter(pc.equal(dataset.index["location_id"], location_id))
        days = [f"{acquired:%Y-%m-%d}" for acquired in here["acquired"].to_pylist()]
        tiles = np.concatenate(
            [true_colour(dataset.read_member(location_id, period), bands) for period in PERIODS]
        )
        for i, (tile, day) in enumerate(zip(tiles, days, strict=True)):
            axes = panel.add_subplot(grid[0, i + (i >= len(tiles) // 2)])
            axes.imshow(tile, interpolation="antialiased")
            axes.set_axis_off()
            axes.text(5, 258, day, fontsize=6, color="white", va="bottom",
                      bbox={"color": "black", "alpha": 0.45, "pad": 1, "lw": 0})  # fmt: skip
    figure.savefig(path)


def _choose(dataset: Dataset, rows: int) -> list[tuple[int, str]]:
    """Locations to draw, with a title each."""
    ids = np.unique(dataset.index["location_id"].to_numpy())
    with dataset.storage.open(LOCATIONS) as file:
        places = {row["location_id"]: row for row in pq.read_table(file).to_pylist()}
    changed: dict[int, float] = {}
    if dataset.storage.exists(TRUTH):
        truth = read_table(dataset.storage, TRUTH, TRUTH_SCHEMA).to_pylist()
        changed = {row["location_id"]: row["changed_fraction"] for row in truth}
        most = sorted(ids.tolist(), key=lambda i: -changed[i])[: -(-rows // 2)]
        rest = [i for i in ids.tolist() if i not in most][: rows // 2]
        ids = np.array(sorted(most + rest))
    titles = []
    for location_id in ids[:rows].tolist():
        place = places[location_id]
        title = f"{location_id}"
        if place.get("city"):
            title += f"  {place['city']}, {place.get('country') or ''}"
        if location_id in changed:
            title += f"  ({changed[location_id]:.0%} of the pixels changed for good)"
        titles.append((location_id, title))
    return titles


def draw_loss_curve(rows: list[dict[str, str]], path: str | os.PathLike[str]) -> None:
    """Draw a run's losses and accuracies over its steps, a line a head.

    Parameters
    ----------
    rows : list of dict
        Rows of the run's metrics.csv.
    path : path
        PNG to write.
    """
    from matplotlib.figure import Figure

    steps = [int(row["step"]) for row in rows]
    figure = Figure(figsize=(9, 4), dpi=120, layout="constrained")
    panels = figure.subplots(1, 2)
    names = ("season and augmentation", "season only", "augmentation only")
    for axes, column, title in zip(
        panels, ("head_loss", "accuracy"), ("loss", "rows that find their positive"), strict=True
    ):
        for head, name in enumerate(names):
            values = [float(row[f"{column}_{head}"]) for row in rows]
            axes.plot(steps, values, label=f"invariant to {name}", marker=".", markersize=3)
        axes.set_title(title)
        axes.set_xlabel("step")
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.3)
    panels[1].set_ylim(0, 1)
    panels[0].legend(fontsize=8)
    figure.savefig(path)


def draw_change_histogram(
    ratios: NDArray[np.float64], threshold: float, path: str | os.PathLike[str]
) -> None:
    """Draw how many locations have which change ratio, and where changed ones begin.

    Parameters
    ----------
    ratios : ndarray, shape (L,)
        Smoothed change ratios; those not finite are left out.
    threshold : float
        Ratio from which on a location is labelled changed; infinite for none.
    path : path
        PNG to write.
    """
    from matplotlib.figure import Figure

    known = ratios[np.isfinite(ratios) & (ratios > 0)]
    figure = Figure(figsize=(6, 4), dpi=120, layout="constrained")
    axes = figure.subplots()
    if len(known):
        low, high = np.quantile(known, [0.001, 0.999])  # a few outliers would squash the rest
        bins = np.geomspace(low * 0.95, high * 1.05, 60)
        for part, label in ((known < threshold, "unchanged"), (known >= threshold, "changed")):
            values = known[part]
            axes.hist(values, bins.tolist(), alpha=0.8, label=f"{label}: {len(values):,} locations")
        if np.isfinite(threshold):
            axes.axvline(threshold, color="black", linestyle="--", linewidth=1)
        axes.set_xscale("log")
        axes.legend(fontsize=8)
    axes.set_xlabel("change ratio: distance between the periods / within a period")
    axes.set_ylabel("locations")
    figure.savefig(path)


#: Width of a map in pixels, and of the squares in which its locations are counted.
_MAP_PX, _SQUARE_PX = 2400, 6


def draw_map(locations: LocationTable, path: str | os.PathLike[str]) -> None:
    """Draw where locations lie, over land: the world, or the part of it that they cover.

    Parameters
    ----------
    locations : LocationTable
        One row at least.
    path : path
        PNG to write.

    Raises
    ------
    InputError
        When the land file that the locations were drawn with cannot be read.
    """
    from matplotlib.colors import ListedColormap, LogNorm
    from matplotlib.figure import Figure
    from matplotlib.ticker import ScalarFormatter

    settings = locations.metadata.get("settings", {})
    longitude = locations.longitude
    if np.ptp(longitude % 360.0) < np.ptp(longitude):  # across the antimeridian
        longitude = longitude % 360.0
    west, east, south, north = _map_box(longitude, locations.latitude)
    # A degree of longitude is shorter than one of latitude: true in the middle of the map.
    aspect = 1.0 if east - west > 180 else 1 / np.cos(np.radians((south + north) / 2))
    height_px = round(_MAP_PX * (north - south) * aspect / (east - west))

    figure = Figure(figsize=(_MAP_PX / 200 + 0.6, height_px / 200 + 1.5), dpi=200)
    figure.set_layout_engine("constrained")
    axes = figure.subplots()
    x = west + (np.arange(_MAP_PX) + 0.5) * (east - west) / _MAP_PX
    y = north - (np.arange(height_px) + 0.5) * (north - south) / height_px
    land = load_land(settings.get("land"))
    image = np.stack([land.contains(x, np.full(x.size, row)) for row in y])
    axes.imshow(
        image, extent=(west, east, south, north), cmap=ListedColormap(["#dce6ee", "#faf8f3"]),
        interpolation="antialiased",
    )  # fmt: skip

    columns, rows = _MAP_PX // _SQUARE_PX, height_px // _SQUARE_PX
    count, x_edges, y_edges = np.histogram2d(
        longitude, locations.latitude, (columns, rows), ((west, east), (south, north))
    )
    column, row = np.nonzero(count)
    order = np.argsort(count[column, row])  # the fullest squares on top
    column, row = column[order], row[order]
    dots = axes.scatter(
        (x_edges[:-1] + x_edges[1:])[column] / 2, (y_edges[:-1] + y_edges[1:])[row] / 2,
        c=count[column, row], norm=LogNorm(1, max(count.max(), 10)), cmap="plasma_r",
        s=(_SQUARE_PX * 72 / 200 * 1.15) ** 2, linewidths=0,
    )  # fmt: skip
    axes.set_aspect(aspect)
    axes.set_xlim(west, east)
    axes.set_ylim(south, north)
    axes.set_xlabel("longitude, degrees")
    axes.set_ylabel("latitude, degrees")
    axes.tick_params(labelsize=7)
    axes.grid(alpha=0.25, linewidth=0.4, color="#31506b")
    bar = figure.colorbar(dots, ax=axes, fraction=0.02, pad=0.01, format=ScalarFormatter())
    side_km = (north - south) / rows * 111.2
    bar.set_label(f"locations per dot ({side_km:.2g} km high)", fontsize=8)
    bar.ax.tick_params(labelsize=7)
    axes.set_title(_map_title(locations), fontsize=11)
    notices = locations.metadata.get("notices", [])
    figure.text(0.995, 0.003, "   ".join(notices), fontsize=5, ha="right", color="#555555")
    figure.savefig(path)


def _map_box(
    longitude: NDArray[np.float64], latitude: NDArray[np.float64]
) -> tuple[float, float, float, float]:
    """West, east, south and north of the map, degrees: the world, or the points and a margin."""
    if np.ptp(longitude) > 120:
        return -180.0, 180.0, min(-60.0, latitude.min() - 1), max(80.0, latitude.max() + 1)
    margin = 0.05 * max(np.ptp(longitude), np.ptp(latitude), 0.5)
    south, north = latitude.min() - margin, latitude.max() + margin
    west, east = longitude.min() - margin, longitude.max() + margin
    # Neither a tower nor a ribbon.
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
