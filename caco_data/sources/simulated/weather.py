"""Clouds and haze of a scene."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np

from caco_data.sources.simulated.noise import Field, derive_seed, fractal, smooth, uniform
from caco_data.sources.simulated.salts import SceneSalt

_NORMAL = NormalDist()
#: Minimum distance of a scene's cloud cover from 0 and 1.
COVER_MARGIN = 1e-4

#: Scales of cloud fields and of the clouds within them, pixels; gain of each sum of noises.
FIELD_SCALES_PX, FIELD_GAIN = (1024, 320), 0.7
CLOUD_SCALES_PX, CLOUD_GAIN = (100, 40, 16, 6), 0.62
#: Weights of the two sums; their squares add up to 1.
FIELD_WEIGHT, CLOUD_WEIGHT = 0.88, 0.475
#: Upper limit of the sum of the cloud scales, standard deviations.
CLOUD_MAX = 2.2

#: Haze, DN in red: minimum, maximum above it (most scenes have little), relative standard deviation
#: of its variation over the scene, and scale of that variation in pixels.
HAZE_MIN_DN, HAZE_RANGE_DN, HAZE_DRIFT, HAZE_SCALE_PX = 5, 200, 0.18, 512


def cloud_thickness(
    seed: int, cover: float, x0: int, y0: int, width: int, height: int
) -> Field | None:
    """Return the optical thickness of clouds over a rectangle of absolute pixels.

    The threshold makes about the fraction `cover` of a whole scene cloudy. A patch is smaller than
    a cloud field: some patches of clear scenes are cloudy, and some of cloudy scenes are clear.

    Parameters
    ----------
    seed : int
        Seed of the scene.
    cover : float
        Cloud cover of the scene, 0..1.
    x0, y0, width, height : int
        Left and upper edge and size, pixels.

    Returns
    -------
    ndarray of float32, shape (H, W), or None
        0 where the sky is clear; None when it is clear everywhere.
    """
    threshold = _NORMAL.inv_cdf(1 - min(max(cover, COVER_MARGIN), 1 - COVER_MARGIN))
    fields = fractal(seed, x0, y0, width, height, FIELD_SCALES_PX, FIELD_GAIN)
    if FIELD_WEIGHT * float(fields.max()) + CLOUD_WEIGHT * CLOUD_MAX < threshold:
        return None  # the finer scales cannot reach the threshold
    clouds = fractal(seed + 1, x0, y0, width, height, CLOUD_SCALES_PX, CLOUD_GAIN)
    limited = np.minimum(clouds, np.float32(CLOUD_MAX))
    total = fields * np.float32(FIELD_WEIGHT) + limited * np.float32(CLOUD_WEIGHT)
    return np.asarray(np.maximum(total - np.float32(threshold), 0))


def haze(seed: int, x0: int, y0: int, width: int, height: int) -> Field:
    """Return the path radiance of a scene in red, DN, (H, W).

    It has a level per scene and varies slowly over the patch.
    """
    level = float(uniform(seed, SceneSalt.HAZE_LEVEL)) ** 2
    drift_seed = derive_seed(seed, SceneSalt.HAZE_DRIFT)
    drift = smooth(drift_seed, x0, y0, width, height, HAZE_SCALE_PX)
    return np.asarray(
        HAZE_MIN_DN + HAZE_RANGE_DN * level * (1 + HAZE_DRIFT * drift), dtype=np.float32
    )
