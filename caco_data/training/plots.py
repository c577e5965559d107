"""Loss curve and change histogram of a run."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caco_data.dataset.layout import bands_by_pixel
from caco_data.dataset.reader import Dataset
from caco_data.dataset.true_colour import true_colour
from caco_data.sentinel2 import PIXEL_M

#: Number of example locations shown per group: with the least and with the most change.
EXAMPLES = 4
#: Radius of the circle around the largest change, pixels.
MARK_PX = 18


def plot_loss_curve(rows: list[dict[str, str]], path: str | os.PathLike[str]) -> None:
    """Plot loss and accuracy of each head over the steps of a run.

    Parameters
    ----------
    rows : list of dict
        Rows of metrics.csv.
    path : path
        PNG file to write.
    """
    from matplotlib.figure import Figure

    steps = [int(row["step"]) for row in rows]
    figure = Figure(figsize=(9, 4), dpi=120, layout="constrained")
    panels = figure.subplots(1, 2)
    heads = sum(name.startswith("head_loss_") for name in rows[0]) if rows else 0
    invariances = ("season and augmentation", "season only", "augmentation only")[:heads]
    names = [f"invariant to {name}" for name in invariances] if heads > 1 else [None]
    for axes, column, title in zip(
        panels, ("head_loss", "accuracy"), ("loss", "accuracy (positive ranked first)"), strict=True
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
        panels[0].legend(loc="upper right", fontsize=8)
    figure.savefig(path)


def plot_change_histogram(
    dataset: Dataset,
    location_ids: NDArray[np.int64],
    ratios: NDArray[np.float64],
    threshold: float,
    path: str | os.PathLike[str],
    places: NDArray[np.int64] | None = None,
) -> None:
    """Plot the histogram of change ratios with example locations (paper, Figure 3).

    Parameters
    ----------
    dataset : Dataset
        Source of the examples; without a 10 m band none are shown.
    location_ids : ndarray, shape (L,)
        Ids of the locations.
    ratios : ndarray, shape (L,)
        Change ratios; values that are not finite or not positive are left out.
    threshold : float
        Minimum ratio of a location labelled changed; infinite when none is.
    path : path
        PNG file to write.
    places : ndarray, shape (L, 2), optional
        Row and column of the largest change, in 10 m pixels; marked where the change is largest.

    Raises
    ------
    DatasetError
        When an example cannot be read.
    """
    from matplotlib.figure import Figure

    known = np.isfinite(ratios) & (ratios > 0)
    location_ids, ratios = location_ids[known], ratios[known]
    places = None if places is None else places[known]
    order = ratios.argsort()
    bands = bands_by_pixel(dataset.bands).get(PIXEL_M, ())
    examples = min(EXAMPLES, len(order) // 2) if bands else 0
    figure = Figure(figsize=(10, 6.4 if examples else 4), dpi=120, layout="constrained")
    panels: Any = figure.subfigures(2, 1, height_ratios=[1, 0.9]) if examples else [figure]
    _histogram(panels[0].subplots(), ratios, threshold)
    if examples:
        sides: Any = panels[1].subfigures(1, 2, wspace=0.04)
        least, most = order[:examples], order[::-1][:examples]
        for side, title, some, marks in (
            (sides[0], "least change", least, None),
            (sides[1], "most change", most, None if places is None else places[most]),
        ):
            side.suptitle(f"{title}: early above, late below", fontsize=9)
            _examples(side, dataset, bands, location_ids[some], ratios[some], marks)
    figure.savefig(path)


def _examples(
    figure: Any,
    dataset: Dataset,
    bands: tuple[str, ...],
    location_ids: NDArray[np.int64],
    ratios: NDArray[np.float64],
    marks: NDArray[np.int64] | None,
) -> None:
    from matplotlib.patches import Circle

    grid = figure.subplots(2, len(location_ids), squeeze=False)
    for column, (location_id, ratio) in enumerate(zip(location_ids, ratios, strict=True)):
        for axes, period in zip(grid[:, column], dataset.first_and_last, strict=True):
            tile = true_colour(dataset.read_member(int(location_id), period)[:1], bands)[0]
            axes.imshow(tile, interpolation="antialiased")
            axes.set_axis_off()
            if marks is not None:
                y, x = marks[column]
                axes.add_patch(Circle((x, y), MARK_PX, fill=False, color="yellow", linewidth=1))
        grid[0, column].set_title(f"{location_id}: {ratio:.2f}", fontsize=7)


def _histogram(axes: Any, ratios: NDArray[np.float64], threshold: float) -> None:
    if len(ratios):
        low, high = np.quantile(ratios, [0.001, 0.999])  # outliers would compress the rest
        bins = np.geomspace(low * 0.95, high * 1.05, 60)
        for part, label in ((ratios < threshold, "unchanged"), (ratios >= threshold, "changed")):
            values = ratios[part]
            axes.hist(values, bins.tolist(), alpha=0.8, label=f"{label}: {len(values):,} locations")
        if np.isfinite(threshold):
            axes.axvline(threshold, color="black", linestyle="--", linewidth=1)
        axes.set_xscale("log")
        for set_formatter in (axes.xaxis.set_major_formatter, axes.xaxis.set_minor_formatter):
            set_formatter("{x:g}")  # 0.6 instead of 6 x 10^-1
        axes.legend(loc="upper right", fontsize=8)
    axes.set_xlabel("change ratio: distance between the periods / within a period")
    axes.set_ylabel("locations")
