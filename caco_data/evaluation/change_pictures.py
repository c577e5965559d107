"""Picture of the most and the least changed locations by a score."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caco_data.dataset.reader import Dataset
from caco_data.dataset.true_colour import true_colour

#: Locations shown in each of the two rows.
_SHOWN = 6


def plot_ranked_pairs(
    dataset: Dataset,
    ids: NDArray[np.int64],
    score: NDArray[np.float64],
    changed: NDArray[np.bool_],
    title: str,
    path: Path,
) -> None:
    """Plot first early and first late tiles of the locations with the highest and lowest scores.

    Parameters
    ----------
    dataset : Dataset
        Source of the tiles; its finest bands are shown.
    ids : ndarray of int64, shape (L,)
        Locations.
    score : ndarray, shape (L,)
        Change scores; locations with NaN are left out.
    changed : ndarray of bool, shape (L,)
        The truth, stated above each pair; wrong ranks have a red title.
    title : str
        Title.
    path : Path
        PNG file to write.
    """
    from matplotlib.figure import Figure

    order = [i for i in np.argsort(-score, kind="stable") if np.isfinite(score[i])]
    count = max(1, min(_SHOWN, len(order) // 2))
    groups = {"highest scores": order[:count], "lowest scores": order[::-1][:count]}
    figure = Figure(figsize=(1.6 * count + 0.6, 7.4), dpi=110, layout="constrained")
    figure.suptitle(f"{title}: early above, late below", fontsize=9)
    panels: Any = figure.subfigures(2, 1)
    for (name, places), panel in zip(groups.items(), panels, strict=True):
        panel.suptitle(name, fontsize=8)
        axes = panel.subplots(2, count, squeeze=False)
        for column, i in enumerate(places):
            right = bool(changed[i]) == (name == "highest scores")
            axes[0, column].set_title(
                f"{ids[i]}: {score[i]:.2f}\n{'changed' if changed[i] else 'unchanged'}",
                fontsize=7,
                color="black" if right else "firebrick",
            )
            _show_pair(axes[:, column], dataset, int(ids[i]))
    figure.savefig(path)


def _show_pair(axes: Any, dataset: Dataset, location_id: int) -> None:
    stored = dataset.member_bands
    suffix = next(iter(stored))  # the finest bands
    for axis, period in zip(axes, dataset.first_and_last, strict=True):
        tile = true_colour(dataset.read_member(location_id, period, suffix)[:1], stored[suffix])[0]
        axis.imshow(tile, interpolation="antialiased")
        axis.set_axis_off()
