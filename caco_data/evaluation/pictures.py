"""Pictures of classification results: confusion matrix, and confident mistakes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caco_data.dataset.true_colour import true_colour
from caco_data.evaluation.image_reader import Pixels
from caco_data.sentinel2 import RGB_BANDS

#: Mistakes shown: rows and columns.
_GALLERY = 3, 6


def plot_confusion(
    confusion: NDArray[np.int64], classes: Sequence[str], title: str, path: Path
) -> None:
    """Plot a confusion matrix, with rows of the true class in percent.

    Parameters
    ----------
    confusion : ndarray of int64, shape (K, K)
        Number of cases by true and predicted class.
    classes : sequence of str
        Names of the K classes.
    title : str
        Title.
    path : Path
        PNG file to write.
    """
    from matplotlib.figure import Figure

    count = len(classes)
    share = 100 * confusion / np.maximum(confusion.sum(1, keepdims=True), 1)
    side = 2.6 + 0.5 * min(count, 40)
    figure = Figure(figsize=(side + 0.8, side), dpi=120, layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(share, cmap="Blues", vmin=0, vmax=100)
    axes.set_xticks(range(count), classes, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(count), classes)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    axes.set_title(title, fontsize=9)
    if count <= 20:
        for i, j in zip(*confusion.nonzero(), strict=True):
            colour = "white" if share[i, j] > 55 else "black"
            axes.text(
                j, i, f"{share[i, j]:.0f}", ha="center", va="center", fontsize=7, color=colour
            )
    figure.colorbar(image, ax=axes, label="percent of the true class", shrink=0.8)
    figure.savefig(path)


def shown(image: Pixels) -> NDArray[np.uint8]:
    """Render an image (H, W, 3) for viewing."""
    values: NDArray[Any] = image.values
    if image.unit == "display" and len(values) >= 3:
        return values[:3].transpose(1, 2, 0).astype(np.uint8)
    if image.unit == "reflectance":
        values = values * 10000
    rgb = set(RGB_BANDS) <= set(image.bands)
    bands = image.bands if rgb else image.bands[:1]
    tile: NDArray[np.uint8] = true_colour(values[None, : len(bands)], bands)[0]
    return tile


def plot_mistakes(
    read: Callable[[NDArray[np.int64]], Sequence[Pixels]],
    true: NDArray[np.str_],
    predicted: NDArray[np.str_],
    confidence: NDArray[np.float64],
    title: str,
    path: Path,
) -> None:
    """Plot the wrongly classified images with the highest confidence.

    Parameters
    ----------
    read : callable
        Reads the test images at some positions.
    true, predicted : ndarray of str, shape (N,)
        Classes of the test images.
    confidence : ndarray, shape (N,)
        Confidence of the predictions.
    title : str
        Title.
    path : Path
        PNG file to write.
    """
    from matplotlib.figure import Figure

    wrong = np.flatnonzero(true != predicted)
    rows, columns = _GALLERY
    # A stable order makes the picture the same for equal results.
    worst = wrong[np.argsort(-confidence[wrong], kind="stable")][: rows * columns]
    used = max(1, -(-len(worst) // columns))
    figure = Figure(figsize=(1.75 * columns, 2.15 * used + 0.4), dpi=110, layout="constrained")
    figure.suptitle(title, fontsize=9)
    grid = figure.subplots(used, columns, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    if not len(worst):
        grid[0, 0].text(0, 0.5, "no mistakes", fontsize=9)
    for axes, i, image in zip(grid.flat, worst, read(worst), strict=False):
        axes.imshow(shown(image), interpolation="nearest")
        axes.set_title(f"{true[i]}\nas {predicted[i]} ({confidence[i]:.0%})", fontsize=7)
    figure.savefig(path)
