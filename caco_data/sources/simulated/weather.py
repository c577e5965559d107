"""Clouds of a scene: clusters of cells with structure, thin edges, cirrus, many small clouds."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from caco_data.sources.simulated.noise import Field, derive_seed, stepped, uniform
from caco_data.sources.simulated.salts import SceneSalt

_NORMAL = NormalDist()
#: Minimum distance of a scene's cloud cover from 0 and 1.
COVER_MARGIN = 1e-4

#: Scales of weather systems, pixels. They decide most of where clouds are in scenes with little
#: cloud, and less in scenes with much: share of the variance at covers of 0 and from `CLOUDY` on.
SYSTEM_SCALES_PX, SYSTEM_GAIN, SYSTEM_STEP_PX = (2200, 800), 0.8, 4
SYSTEM_SHARE, SYSTEM_SHARE_CLOUDY, CLOUDY = 0.8, 0.3, 0.35
#: Scales of the clouds and of the cells within them, pixels, all smaller than a patch, so that few
#: patches of a cloudy scene are clear; gain of their sum; step in pixels.
CLOUD_SCALES_PX, CLOUD_GAIN, CLOUD_STEP_PX = (72, 32, 12), 0.8, 2
#: Scales of the structure on the clouds' tops, pixels.
DETAIL_SCALES_PX, DETAIL_GAIN = (10, 4), 0.8
#: Upper limit of the sum of the cloud scales, standard deviations.
CLOUD_MAX = 2.6
#: Opacity of a cloud of thickness t is 1 - exp(-`EXTINCTION` t).
EXTINCTION = 2.1
#: Veils of cirrus: fraction of the scenes; cover relative to that of all clouds; scale of systems
#: and of their streaks, pixels; limit of the streaks, standard deviations; opacity per standard
#: deviation above the threshold, and greatest opacity.
CIRRUS_SCENES, CIRRUS_COVER, CIRRUS_SYSTEM_PX, CIRRUS_SCALES_PX = 0.3, 0.4, 1200, (400, 90, 30)
CIRRUS_MAX, CIRRUS_DENSITY, CIRRUS_OPACITY = 2.0, 0.15, 0.35
#: Brightness relative to `CLOUD`: logarithm at thickness 0, increase with the thickness, weight of
#: the structure, maximum.
LOG_BRIGHTNESS, BRIGHTENING, STRUCTURE, BRIGHTNESS_MAX = -0.95, 0.55, 0.3, 1.6


@dataclass(frozen=True)
class Clouds:
    """Clouds over a rectangle; fields of shape (H, W)."""

    opacity: Field
    """0..1."""
    brightness: Field
    """Relative to an opaque cloud of average brightness."""


def cloud_thickness(
    key: int, cover: float, x0: int, y0: int, width: int, height: int
) -> Field | None:
    """Return the thickness of clouds over a rectangle of absolute pixels.

    The threshold makes about the fraction `cover` of a whole scene cloudy.

    Parameters
    ----------
    key : int
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
    share = SYSTEM_SHARE + (SYSTEM_SHARE_CLOUDY - SYSTEM_SHARE) * min(cover / CLOUDY, 1)
    system_seed = derive_seed(key, SceneSalt.CLOUD_CLUSTERS)
    box = x0, y0, width, height
    systems = stepped(system_seed, *box, SYSTEM_SCALES_PX, SYSTEM_GAIN, SYSTEM_STEP_PX)
    weight, rest = share**0.5, (1 - share) ** 0.5
    if weight * float(systems.max()) + rest * CLOUD_MAX < threshold:
        return None  # the finer scales cannot reach the threshold
    cell_seed = derive_seed(key, SceneSalt.CLOUD_CELLS)
    cells = stepped(cell_seed, *box, CLOUD_SCALES_PX, CLOUD_GAIN, CLOUD_STEP_PX)
    total = np.minimum(cells, np.float32(CLOUD_MAX))
    total *= np.float32(rest)
    total += systems * np.float32(weight)
    total -= np.float32(threshold)
    return np.maximum(total, 0, out=total)


def opacity_of(thickness: Field) -> Field:
    """Return the opacity of clouds, 0..1, by their thickness."""
    return np.asarray(1 - np.exp(np.float32(-EXTINCTION) * thickness))


def clouds(key: int, thickness: Field, x0: int, y0: int) -> Clouds:
    """Return opacity and brightness of clouds with a thickness, (H, W)."""
    height, width = thickness.shape
    detail_seed = derive_seed(key, SceneSalt.CLOUD_DETAIL)
    box = x0, y0, width, height
    detail = stepped(detail_seed, *box, DETAIL_SCALES_PX, DETAIL_GAIN, CLOUD_STEP_PX)
    log = np.float32(BRIGHTENING) * thickness
    log += np.float32(STRUCTURE) * detail
    log += np.float32(LOG_BRIGHTNESS)
    brightness = np.minimum(np.exp(log), np.float32(BRIGHTNESS_MAX))
    return Clouds(opacity_of(thickness), brightness)


def cirrus(key: int, cover: float, x0: int, y0: int, width: int, height: int) -> Field | None:
    """Return the opacity of a veil of cirrus, (H, W); None in scenes without."""
    if float(uniform(key, SceneSalt.CIRRUS)) > CIRRUS_SCENES:
        return None
    threshold = _NORMAL.inv_cdf(1 - min(max(CIRRUS_COVER * cover, COVER_MARGIN), 1 - COVER_MARGIN))
    seed = derive_seed(key, SceneSalt.CIRRUS, 1)
    box = x0, y0, width, height
    systems = stepped(seed, *box, (CIRRUS_SYSTEM_PX,), 1, SYSTEM_STEP_PX)
    if float(systems.max()) + CIRRUS_MAX < threshold:
        return None
    streaks = stepped(seed + 1, *box, CIRRUS_SCALES_PX, 0.8, CLOUD_STEP_PX)
    veil = np.minimum(streaks, np.float32(CIRRUS_MAX))
    veil += systems - np.float32(threshold)
    veil *= np.float32(CIRRUS_DENSITY)
    return np.clip(veil, 0, np.float32(CIRRUS_OPACITY), out=veil)
