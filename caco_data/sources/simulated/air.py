"""What remains of air and sun after atmospheric correction: offset and gain of each band.

Most of it is common to the whole scene; a smaller part varies over some kilometres. Sizes and
correlations between the bands are those of the means of clear patches within 13 days.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from caco_data.sentinel2 import ALL_BANDS
from caco_data.sources.simulated.frame import Frame
from caco_data.sources.simulated.noise import Field, derive_seed, normal, stepped
from caco_data.sources.simulated.salts import SceneSalt

Floats = NDArray[np.floating]

#: Standard deviation of the residual path radiance between scenes, DN, bands as in ALL_BANDS, and
#: its mean relative to that.
PATH_DN = np.array([56, 48, 37, 27, 26, 24, 21, 18, 17, 14, 7, 5])
PATH_MEAN = 0.9
#: Skewness of the path radiance: weight of the squared number.
PATH_SKEW = 0.2
#: Standard deviation of the gain between scenes (sun, aerosol absorption), correlation with the
#: path radiance, and part of it that is independent from band to band.
GAIN, GAIN_WITH_PATH, BAND_GAIN = 0.055, 0.6, 0.008
#: Gain from one edge of the swath to its middle by the direction of view (bidirectional
#: reflectance: the side away from the sun is brighter).
VIEW_GAIN = 0.02
#: Loss of contrast per standard deviation of the path radiance (light from neighbouring pixels),
#: and the level in DN towards which it goes.
ADJACENCY = np.array([.16, .15, .14, .14, .12, .1, .09, .09, .09, .08, .04, .03])  # fmt: skip
LEVEL_DN = np.array([290, 370, 620, 480, 1050, 2600, 3100, 3350, 3450, 3400, 2000, 1200])
#: Variation within a scene, standard deviations: path radiance in DN, gain; scale and step in
#: pixels.
PATH_DRIFT_DN = np.array([36, 32, 21, 8, 11, 10, 9, 8, 8, 7, 4, 3])
GAIN_DRIFT, DRIFT_SCALE_PX, DRIFT_STEP_PX = 0.01, 700, 4


@dataclass(frozen=True)
class Air:
    """Effect of air and sun on the bands: DN = gain * DN + path."""

    path: Floats
    """DN, (12,)."""
    gain: Floats
    """(12,)."""
    drift_dn: Floats
    """Standard deviation of the path radiance within the scene, DN, (12,)."""
    drift: Field
    """Variation of the path radiance within the scene, unit variance, (H, W)."""
    gain_drift: Field
    """Relative variation of the gain within the scene, (H, W)."""


def air(key: int, orbit_side: float, frame: Frame) -> Air:
    """Return the effect of air and sun on a frame in a pass.

    Parameters
    ----------
    key : int
        Seed of the pass.
    orbit_side : float
        Position in the swath, -1 (western edge) to 1 (eastern edge).
    frame : Frame
    """
    bands = np.arange(len(ALL_BANDS))
    own = normal(key, SceneSalt.AIR, bands + 10)
    haze, sun = (float(normal(key, SceneSalt.AIR, k)) for k in (0, 1))
    path = haze + PATH_SKEW * (haze**2 - 1)
    common = GAIN_WITH_PATH * haze + (1 - GAIN_WITH_PATH**2) ** 0.5 * sun
    loss = np.clip(ADJACENCY * haze, -0.15, 0.3)
    gain = (1 + GAIN * common + VIEW_GAIN * orbit_side + BAND_GAIN * own) * (1 - loss)
    path_drift, gain_drift = (
        stepped(derive_seed(key, salt), *frame.box, (DRIFT_SCALE_PX,), 1, DRIFT_STEP_PX)
        for salt in (SceneSalt.AIR_DRIFT, SceneSalt.SUN_DRIFT)
    )
    return Air(
        path=PATH_DN * (PATH_MEAN + path) + loss * LEVEL_DN,
        gain=gain,
        drift_dn=PATH_DRIFT_DN,
        drift=path_drift,
        gain_drift=gain_drift * np.float32(GAIN_DRIFT),
    )
