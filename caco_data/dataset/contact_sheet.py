"""Pictures of what the pipeline made: for eyes, not for parsing.

matplotlib is imported inside the functions, always with its file-only Agg canvas.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from caco_data.dataset.reader import (
    LOCATIONS,
    TRUTH,
    TRUTH_SCHEMA,
    Dataset,
    read_parquet,
    read_table,
)
from caco_data.dataset.shards import bands_by_pixel
from caco_data.errors import InputError
from caco_data.types import PERIODS, PIXEL_M

#: DN that is drawn white in true colour: bright ground, not yet cloud.
WHITE_DN = 3000
_GAMMA = 1 / 1.4
#: Locations drawn beside the histogram of change ratios, from either end.
EXAMPLES = 4


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

    bands = bands_by_pixel(dataset.bands).get(PIXEL_M, ())
    if not bands or not dataset.index.num_rows:
        what = "Data set without 10 m bands" if not bands else "Data set without locations"
        raise InputError(what, dataset.root, "Download one with --bands rgb")
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
    table = read_parquet(dataset.storage, LOCATIONS)
    places = {row["location_id"]: row for row in table.to_pylist()}
    changed: dict[int, float] = {}
    if dataset.storage.exists(TRUTH):
        truth = read_table(dataset.storage, TRUTH, TRUTH_SCHEMA).to_pylist()
        changed = {row["location_id"]: row["changed_fraction"] for row in truth}
        most = sorted(ids.tolist(), key=lambda i: -changed[i])[: -(-rows // 2)]
        rest = [i for i in ids.tolist() if i not in most]
        rest = rest[:: max(1, len(rest) // max(1, rows // 2))][: rows // 2]
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
    heads = sum(name.startswith("head_loss_") for name in rows[0]) if rows else 0
    invariances = ("season and augmentation", "season only", "augmentation only")[:heads]
    names = [f"invariant to {name}" for name in invariances] if heads > 1 else [None]
    for axes, column, title in zip(
        panels, ("head_loss", "accuracy"), ("loss", "rows that find their positive"), strict=True
    ):
        for head, name in enumerate(names):
            values = [float(row[f"{column}_{head}"]) for row in rows]
            axes.plot(steps, values, label=name, marker=".", markersize=3)
        axes.set_title(title)
        axes.set_xlabel("step")
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.3)
    panels[1].set_ylim(0, 1)
    if heads > 1:
        panels[0].legend(fontsize=8)
    figure.savefig(path)


def draw_change_histogram(
    dataset: Dataset,
    location_ids: NDArray[np.int64],
    ratios: NDArray[np.float64],
    threshold: float,
    path: str | os.PathLike[str],
) -> None:
    """Draw how many locations have which change ratio, with examples (paper, Figure 3).

    Parameters
    ----------
    dataset : Dataset
        Where the examples come from; none are drawn where it has no 10 m band.
    location_ids : ndarray, shape (L,)
        Its locations.
    ratios : ndarray, shape (L,)
        Their change ratios; those not finite are left out.
    threshold : float
        Ratio from which on a location is labelled changed; infinite for none.
    path : path
        PNG to write.
    """
    from matplotlib.figure import Figure

    known = np.isfinite(ratios) & (ratios > 0)
    location_ids, ratios = location_ids[known], ratios[known]
    order = ratios.argsort()
    bands = bands_by_pixel(dataset.bands).get(PIXEL_M, ())
    examples = min(EXAMPLES, len(order) // 2) if bands else 0
    figure = Figure(figsize=(10, 6.4 if examples else 4), dpi=120, layout="constrained")
    panels: Any = figure.subfigures(2, 1, height_ratios=[1, 0.9]) if examples else [figure]
    _histogram(panels[0].subplots(), ratios, threshold)
    if examples:
        sides: Any = panels[1].subfigures(1, 2, wspace=0.04)
        for side, title, places in (
            (sides[0], "least change", order[:examples]),
            (sides[1], "most change", order[::-1][:examples]),
        ):
            side.suptitle(f"{title}: early above, late below", fontsize=9)
            grid = side.subplots(2, examples, squeeze=False)
            for column, place in enumerate(places.tolist()):
                location_id = int(location_ids[place])
                for axes, period in zip(grid[:, column], PERIODS, strict=True):
                    tile = true_colour(dataset.read_member(location_id, period)[:1], bands)[0]
                    axes.imshow(tile, interpolation="antialiased")
                    axes.set_axis_off()
                grid[0, column].set_title(f"{location_id}: {ratios[place]:.2f}", fontsize=7)
    figure.savefig(path)


def _histogram(axes: Any, ratios: NDArray[np.float64], threshold: float) -> None:
    if len(ratios):
        low, high = np.quantile(ratios, [0.001, 0.999])  # a few outliers would squash the rest
        bins = np.geomspace(low * 0.95, high * 1.05, 60)
        for part, label in ((ratios < threshold, "unchanged"), (ratios >= threshold, "changed")):
            values = ratios[part]
            axes.hist(values, bins.tolist(), alpha=0.8, label=f"{label}: {len(values):,} locations")
        if np.isfinite(threshold):
            axes.axvline(threshold, color="black", linestyle="--", linewidth=1)
        axes.set_xscale("log")
        for axis in (axes.xaxis.set_major_formatter, axes.xaxis.set_minor_formatter):
            axis("{x:g}")  # 0.6 rather than 6 x 10^-1
        axes.legend(fontsize=8)
    axes.set_xlabel("change ratio: distance between the periods / within a period")
    axes.set_ylabel("locations")
