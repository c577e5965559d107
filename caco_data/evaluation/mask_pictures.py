"""Pictures of masks beside the images: truth and prediction."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from caco_data.evaluation.image_reader import Pixels
from caco_data.evaluation.pictures import shown

#: Images shown; colours of the map of colours.
_SHOWN, _COLOURS = 5, 20


def plot_masks(
    images: Sequence[Pixels],
    masks: Sequence[NDArray[np.int64]],
    predicted: Sequence[NDArray[np.uint8]],
    classes: int,
    title: str,
    path: Path,
) -> None:
    """Plot some test images with the true and the predicted masks, one image per row.

    Parameters
    ----------
    images : sequence of Pixels
        Images.
    masks, predicted : sequence of ndarray, shape (H, W)
        Class numbers.
    classes : int
        Number of classes.
    title : str
        Title.
    path : Path
        PNG file to write.
    """
    from matplotlib import colormaps
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    count = min(_SHOWN, len(images))
    figure = Figure(figsize=(6.6, 2.2 * count + 0.5), dpi=110, layout="constrained")
    figure.suptitle(title, fontsize=9)
    grid = figure.subplots(count, 3, squeeze=False)
    for row in range(count):
        grid[row, 0].imshow(shown(images[row]))
        for column, mask in ((1, masks[row]), (2, predicted[row])):
            masked = np.ma.masked_greater_equal(mask, classes)
            limits = {"vmin": -0.5, "vmax": max(classes, _COLOURS) - 0.5}
            grid[row, column].imshow(masked, cmap="tab20", interpolation="nearest", **limits)
    for axes, name in zip(grid[0], ("image", "truth", "prediction"), strict=True):
        axes.set_title(name, fontsize=8)
    for axes in grid.flat:
        axes.set_axis_off()
    colours = colormaps["tab20"].resampled(max(classes, _COLOURS))
    handles = [Patch(color=colours(k), label=str(k)) for k in range(classes)]
    figure.legend(handles=handles, loc="outside lower center", ncols=10, fontsize=7, title="class")
    figure.savefig(path)
