"""True-colour rendering of tiles."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from caco_data.sentinel2 import RGB_BANDS

#: DN rendered as white: bright ground, darker than cloud.
WHITE_DN = 3000
_GAMMA = 1 / 1.4


def true_colour(stack: NDArray[Any], bands: tuple[str, ...]) -> NDArray[np.uint8]:
    """Render tiles in true colour (B4, B3, B2), or the first band in grey without these bands.

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
    shown = RGB_BANDS if set(RGB_BANDS) <= set(bands) else (bands[0],) * 3
    white = WHITE_DN / 10000 * 255 if stack.dtype == np.uint8 else WHITE_DN
    pixels = stack[:, [bands.index(band) for band in shown]].transpose(0, 2, 3, 1)
    rgb: NDArray[np.uint8] = (255 * np.clip(pixels / white, 0, 1) ** _GAMMA).astype(np.uint8)
    return rgb
