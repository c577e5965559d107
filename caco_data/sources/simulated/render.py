"""Bands, scene classification and cloud score of a scene, computed from its state."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from caco_data.sentinel2 import ALL_BANDS, BAND_PIXEL_M, PIXEL_M, SCL_PIXEL_M
from caco_data.sources.simulated.conditions import Conditions
from caco_data.sources.simulated.ground import MARGIN_PX, Ground
from caco_data.sources.simulated.land_cover import WATER
from caco_data.sources.simulated.noise import Field, derive_seed, mix, white
from caco_data.sources.simulated.salts import SceneSalt
from caco_data.sources.simulated.scene_state import SceneState
from caco_data.sources.simulated.spectra import CANOPIES, CLOUD, MATERIALS, SNOW, Material

#: Path radiance of each band relative to red: the atmosphere scatters blue most.
_HAZE = dict(
    zip(ALL_BANDS, (1.7, 1.45, 1.15, 1.0, 0.9, 0.75, 0.68, 0.6, 0.58, 0.5, 0.2, 0.12), strict=True)
)
#: Brightness of thin clouds relative to `CLOUD`, and its increase to that of opaque clouds.
THIN_CLOUD, CLOUD_RANGE = 0.75, 0.25
#: Amplitude of the noise of sensor and processing: constant term in DN, and term relative to DN.
NOISE_DN, RELATIVE_NOISE = 9.0, 0.006
MIN_DN, MAX_DN = 1, 16_000
#: Point spread of the optics, about a pixel wide: weights of the pixel and of each neighbour along
#: an axis.
PSF_CENTRE, PSF_SIDE = np.float32(0.64), np.float32(0.18)

#: Classes of the scene classification (Sen2Cor, SCL).
SCL_DARK, SCL_SHADOW, SCL_VEGETATION, SCL_BARE, SCL_WATER, SCL_UNCLASSIFIED = 2, 3, 4, 5, 6, 7
SCL_CLOUD_MEDIUM, SCL_CLOUD_HIGH, SCL_CIRRUS, SCL_SNOW = 8, 9, 10, 11
#: Thresholds of the classes: vegetation cover, illumination of dark areas, snow cover, brightness
#: of roofs classified as cloud, opacity of shadows and of thin, medium and thick clouds.
VEGETATION_ABOVE, DARK_BELOW, SNOW_ABOVE, WHITE_ROOF_ABOVE = 0.42, 0.45, 0.5, 1.22
SHADOW_ABOVE, THIN_ABOVE, MEDIUM_ABOVE, THICK_ABOVE = 0.35, 0.12, 0.28, 0.6
#: Thin clouds are classified as cirrus in one of this many scenes, else as unclassified.
CIRRUS_ONE_IN = 3

#: Cloud score: decrease per unit of cloud opacity and of shadow.
SCORE_CLOUD, SCORE_SHADOW = np.float32(2), np.float32(1.15)


def band(
    ground: Ground, conditions: Conditions, state: SceneState, name: str
) -> NDArray[np.uint16]:
    """Return a band on the 10 m grid, DN, (H, W); coarser bands are constant on their pixels."""
    row = ALL_BANDS.index(name)
    dn = MATERIALS[row].take(state.surface.material)
    dn *= state.soil
    canopy = CANOPIES[row].take(state.surface.vegetation)
    canopy *= state.surface.tone
    canopy -= dn
    canopy *= state.vegetation
    dn += canopy
    if state.snow is not None:
        dn += (np.float32(SNOW[row]) - dn) * state.snow
    dn *= state.light
    dn += state.haze * np.float32(_HAZE[name])
    if state.cloud is not None:
        dn += (np.float32(CLOUD[row]) * (THIN_CLOUD + CLOUD_RANGE * state.cloud) - dn) * state.cloud
    dn = _blurred(dn)
    noise_seed = derive_seed(conditions.key, SceneSalt.SENSOR_NOISE, row)
    noise = white(noise_seed, *ground.frame.grown(-MARGIN_PX).box)
    dn += noise * (np.float32(NOISE_DN) + np.float32(RELATIVE_NOISE) * dn)
    coarse = coarsen(np.clip(dn, MIN_DN, MAX_DN), BAND_PIXEL_M[name] // PIXEL_M)
    return np.rint(coarse).astype(np.uint16)


def _blurred(values: Field) -> Field:
    """Apply the point spread function; the result lacks the margin."""
    rows = PSF_CENTRE * values[1:-1] + PSF_SIDE * (values[:-2] + values[2:])
    return np.asarray(PSF_CENTRE * rows[:, 1:-1] + PSF_SIDE * (rows[:, :-2] + rows[:, 2:]))


def coarsen(values: Field, side: int) -> Field:
    """Replace blocks of `side` x `side` pixels by their mean; the grid starts on a block."""
    if side == 1:
        return values
    # Strided sums: the rounding of `mean` depends on the shape, and overlapping grids must agree.
    rows = sum((values[k::side] for k in range(1, side)), values[::side])
    blocks = sum((rows[:, k::side] for k in range(1, side)), rows[:, ::side]) / np.float32(side**2)
    return np.asarray(blocks.repeat(side, axis=0).repeat(side, axis=1))


def scene_classes(conditions: Conditions, state: SceneState) -> NDArray[np.uint16]:
    """Return SCL on the 10 m grid, (H, W), constant over 20 m, with the classifier's errors.

    The brightest roofs are sometimes classified as cloud, and thin clouds are often missed.
    """
    surface = state.surface
    classes = np.where(state.vegetation > VEGETATION_ABOVE, SCL_VEGETATION, SCL_BARE)
    classes[state.light < DARK_BELOW] = SCL_DARK
    classes[np.isin(surface.cover, WATER)] = SCL_WATER
    if state.snow is not None:
        classes[state.snow > SNOW_ABOVE] = SCL_SNOW
    white_roof = (surface.material == Material.WHITE_ROOF) & (surface.brightness > WHITE_ROOF_ABOVE)
    classes[white_roof] = SCL_CLOUD_MEDIUM
    if state.cloud is not None and state.shadow is not None:
        cirrus = int(mix(conditions.key, SceneSalt.CIRRUS)) % CIRRUS_ONE_IN == 0
        classes[state.shadow > SHADOW_ABOVE] = SCL_SHADOW
        classes[state.cloud > THIN_ABOVE] = SCL_CIRRUS if cirrus else SCL_UNCLASSIFIED
        classes[state.cloud > MEDIUM_ABOVE] = SCL_CLOUD_MEDIUM
        classes[state.cloud > THICK_ABOVE] = SCL_CLOUD_HIGH
    m, side = MARGIN_PX, SCL_PIXEL_M // PIXEL_M
    corner = classes[m:-m:side, m:-m:side].astype(np.uint16)
    return corner.repeat(side, axis=0).repeat(side, axis=1)


def cloud_score(state: SceneState) -> Field:
    """Return a score like Cloud Score+, (H, W), 0 (not clear) to 1 (clear); no errors over roofs.

    The score is 0.6 for a cloud opacity of 0.2, and for a shadow of about 0.35.
    """
    inner = slice(MARGIN_PX, -MARGIN_PX)
    if state.cloud is None or state.shadow is None:
        return np.ones_like(state.light[inner, inner])
    hidden = SCORE_CLOUD * state.cloud + SCORE_SHADOW * state.shadow
    return np.asarray(np.clip(1 - hidden[inner, inner], 0, 1))
