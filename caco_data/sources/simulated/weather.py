"""How cloudy a scene is, and where its clouds and haze are."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np

from .noise import Field, fractal, mix, smooth, uniform

_NORMAL = NormalDist()


def season(latitude: float, day_of_year: float) -> float:
    """Cosine of the season: 1 in the middle of the hemisphere's summer, -1 in its winter."""
    phase = math.cos(2 * math.pi * (day_of_year - 197) / 365.25)
    return phase if latitude >= 0 else -phase


def day_of_year(day: int) -> float:
    """Day of the year, 0..365, of a day counted from 2015-07-01."""
    return (day + 181) % 365.25


CLOUD_SCALES = (1024, 320, 100, 40, 16, 6)
#: Bound of the finer scales' sum, standard deviations.
FINE_MAX = 2.2


def cloud_thickness(
    seed: int, cover: float, x0: int, y0: int, width: int, height: int
) -> Field | None:
    """Optical thickness of clouds, 0 where the sky is clear; None where it is all clear.

    The threshold is set so that about `cover` of a whole scene is cloudy; a patch is smaller than
    a cloud field, so in a clear scene some patches are cloudy, and the reverse.
    """
    cut = _NORMAL.inv_cdf(1 - min(max(cover, 1e-4), 1 - 1e-4))
    base = fractal(seed, x0, y0, width, height, CLOUD_SCALES[:2], 0.7)
    if 0.88 * float(base.max()) + 0.475 * FINE_MAX < cut:  # no finer scale can lift it over
        return None
    fine = fractal(seed + 1, x0, y0, width, height, CLOUD_SCALES[2:], 0.62)
    field = base * np.float32(0.88) + np.minimum(fine, np.float32(FINE_MAX)) * np.float32(0.475)
    return np.asarray(np.maximum(field - np.float32(cut), 0))


def haze(seed: int, x0: int, y0: int, width: int, height: int) -> Field:
    """Path radiance added to red, DN: a level for the scene, and a slow drift over the patch."""
    level = float(uniform(seed, 21)) ** 2
    drift = smooth(int(mix(seed, 22)) >> 1, x0, y0, width, height, 512)
    return np.asarray(5 + 200 * level * (1 + 0.18 * drift), dtype=np.float32)
