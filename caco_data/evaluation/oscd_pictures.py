"""Change maps of cities as pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from caco_data.evaluation.oscd_files import City


def save_change_map(city: City, probability: NDArray[np.float32], path: Path) -> None:
    """Save a map: changes found are white, missed ones are red, false ones are green.

    Parameters
    ----------
    city : City
        The truth.
    probability : ndarray of float32, shape (H, W)
        Probability of change; 0.5 or more is a change.
    path : Path
        PNG file to write, one pixel per pixel of 10 m.
    """
    from matplotlib.image import imsave

    found = probability >= 0.5
    picture = np.zeros((*found.shape, 3), dtype=np.uint8)
    picture[found & city.changed] = 255, 255, 255
    picture[~found & city.changed] = 214, 39, 40
    picture[found & ~city.changed] = 44, 160, 44
    imsave(path, picture)
