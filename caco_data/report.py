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
