"""Bands of a scene, computed from its state."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from caco_data.sentinel2 import ALL_BANDS, BAND_PIXEL_M, PIXEL_M
from caco_data.sources.simulated.conditions import Conditions
from caco_data.sources.simulated.ground import Ground
from caco_data.sources.simulated.noise import Field, derive_seed, white
from caco_data.sources.simulated.salts import SceneSalt
from caco_data.sources.simulated.scene_state import SceneState
from caco_data.sources.simulated.spectra import CLOUD, SNOW
from caco_data.sources.simulated.view import MARGIN_PX, View

#: Amplitude of the noise of sensor and processing, uniform: constant term in DN, and term relative
#: to DN.
NOISE_DN, RELATIVE_NOISE = 12.5, 0.0045
#: Least that is left of the reflectance of dark ground beside bright ground and after too strong a
#: correction of the air.
LEAST = np.float32(0.3)
#: Reflectance of cirrus relative to an opaque cloud.
CIRRUS_BRIGHTNESS = 0.55
MAX_DN = 16_000


def band(
    ground: Ground, conditions: Conditions, state: SceneState, view: View, name: str
) -> NDArray[np.uint16]:
    """Return a band on the 10 m grid, DN, (H, W); coarser bands are constant on their pixels."""
    row = ALL_BANDS.index(name)
    dn = surface_band(state, row)
    air = state.air
    least = LEAST * dn[MARGIN_PX:-MARGIN_PX, MARGIN_PX:-MARGIN_PX]
    dn *= np.float32(air.gain[row]) * (1 + air.gain_drift)
    dn += np.float32(air.path[row])
    dn += np.float32(air.drift_dn[row]) * air.drift
    if state.cirrus is not None:
        dn += (np.float32(CLOUD[row] * CIRRUS_BRIGHTNESS) - dn) * state.cirrus
    if state.clouds is not None:
        clouds = state.clouds
        dn += (np.float32(CLOUD[row]) * clouds.brightness - dn) * clouds.opacity
    dn = np.maximum(view.seen(dn), least)
    noise_seed = derive_seed(conditions.key, SceneSalt.SENSOR_NOISE, row)
    noise = white(noise_seed, *ground.frame.grown(-MARGIN_PX).box)
    noise *= np.float32(NOISE_DN) + np.float32(RELATIVE_NOISE) * dn
    dn += noise
    coarse = coarsen(dn, BAND_PIXEL_M[name] // PIXEL_M)
    return np.rint(np.clip(coarse, conditions.min_dn, MAX_DN)).astype(np.uint16)


def surface_band(state: SceneState, row: int) -> Field:
    """Return the reflectance of the surface in its light, DN, (H, W)."""
    surface, reflectance = state.surface, state.reflectance
    dn = reflectance.materials(row).ravel().take(surface.material_key)
    dn *= state.soil
    canopy = reflectance.canopies(row).ravel().take(surface.vegetation_key)
    canopy *= state.tone
    canopy -= dn
    canopy *= state.vegetation
    dn += canopy
    if state.water is not None:
        dn.ravel()[state.water.index] = state.water.band(row)
    if state.snow is not None:
        dn += (np.float32(SNOW[row]) - dn) * state.snow
    dn *= state.light
    return dn


def coarsen(values: Field, side: int) -> Field:
    """Replace blocks of `side` x `side` pixels by their mean; the grid starts on a block."""
    if side == 1:
        return values
    # Strided sums: the rounding of `mean` depends on the shape, and overlapping grids must agree.
    rows = sum((values[k::side] for k in range(1, side)), values[::side])
    blocks = sum((rows[:, k::side] for k in range(1, side)), rows[:, ::side]) / np.float32(side**2)
    return np.asarray(blocks.repeat(side, axis=0).repeat(side, axis=1))
