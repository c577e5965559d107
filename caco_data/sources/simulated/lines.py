"""Distances to lines: the zero lines of smooth fields."""

from __future__ import annotations

import numpy as np

from caco_data.sources.simulated.noise import Field

#: Added to the squared gradient, so that it is not 0.
_MIN_GRADIENT = np.float32(1e-9)


def line_distance(field: Field) -> Field:
    """Return the distance in pixels to the zero lines of a smooth field.

    Parameters
    ----------
    field : ndarray of float32, shape (H + 2, W + 2)
        With a margin of one pixel.

    Returns
    -------
    ndarray of float32, shape (H, W)
    """
    gy = (field[2:, 1:-1] - field[:-2, 1:-1]) / 2
    gx = (field[1:-1, 2:] - field[1:-1, :-2]) / 2
    return np.asarray(np.abs(field[1:-1, 1:-1]) / np.sqrt(gx * gx + gy * gy + _MIN_GRADIENT))
