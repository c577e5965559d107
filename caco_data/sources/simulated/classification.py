"""Scene classification (SCL) and cloud score, with the errors of the real classifiers.

Sen2Cor calls bright roofs and sand cloud, misses part of the thin clouds and of the shadows, and
takes dark slopes for dark areas (Sen2Cor's L2A validation: omission of cloud about 20 %, mostly
thin; of shadow about 40 %).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from caco_data.sentinel2 import PIXEL_M, SCL_PIXEL_M
from caco_data.sources.simulated.conditions import Conditions
from caco_data.sources.simulated.ground import Ground
from caco_data.sources.simulated.land_cover import WATER
from caco_data.sources.simulated.noise import Field, derive_seed, stepped
from caco_data.sources.simulated.salts import SceneSalt
from caco_data.sources.simulated.scene_state import SceneState
from caco_data.sources.simulated.spectra import Material
from caco_data.sources.simulated.view import MARGIN_PX

#: Classes of the scene classification (Sen2Cor, SCL).
SCL_DARK, SCL_SHADOW, SCL_VEGETATION, SCL_BARE, SCL_WATER, SCL_UNCLASSIFIED = 2, 3, 4, 5, 6, 7
SCL_CLOUD_MEDIUM, SCL_CLOUD_HIGH, SCL_CIRRUS, SCL_SNOW = 8, 9, 10, 11
#: Thresholds of the classes: vegetation cover, illumination of dark areas, snow cover, brightness
#: of roofs and sand that are called cloud, opacity of shadows and of thin, medium and thick clouds.
VEGETATION_ABOVE, DARK_BELOW, SNOW_ABOVE, BRIGHT_ABOVE = 0.42, 0.3, 0.5, 1.25
SHADOW_ABOVE, THIN_ABOVE, MEDIUM_ABOVE, THICK_ABOVE = 0.35, 0.12, 0.28, 0.62
BRIGHT = (Material.WHITE_ROOF, Material.GREENHOUSE, Material.SAND)
#: Errors: field that decides where the classifier errs; thin clouds, and shadows, are missed where
#: it is below these limits.
ERROR_SCALES_PX, MISSES_THIN, MISSES_SHADOW = (24, 6), -0.7, -0.8

#: Cloud score: decrease per unit of cloud opacity and of shadow.
SCORE_CLOUD, SCORE_SHADOW = np.float32(2), np.float32(1.15)


def scene_classes(ground: Ground, conditions: Conditions, state: SceneState) -> NDArray[np.uint16]:
    """Return SCL on the 10 m grid, (H, W), constant over 20 m, with the classifier's errors."""
    m, side = MARGIN_PX, SCL_PIXEL_M // PIXEL_M
    corner = slice(m, -m, side), slice(m, -m, side)
    surface = state.surface
    classes = np.where(state.vegetation[corner] > VEGETATION_ABOVE, SCL_VEGETATION, SCL_BARE)
    classes[state.light[corner] < DARK_BELOW] = SCL_DARK
    classes[np.isin(surface.cover[corner], WATER)] = SCL_WATER
    if state.snow is not None:
        classes[state.snow[corner] > SNOW_ABOVE] = SCL_SNOW
    bright = np.isin(surface.material[corner], BRIGHT) & (state.soil[corner] > BRIGHT_ABOVE)
    classes[bright & (state.vegetation[corner] < VEGETATION_ABOVE)] = SCL_CLOUD_MEDIUM
    if state.clouds is not None or state.cirrus is not None:
        _add_clouds(classes, corner, ground, conditions, state)
    return classes.astype(np.uint16).repeat(side, axis=0).repeat(side, axis=1)


def _add_clouds(
    classes: NDArray[np.integer], corner: tuple[slice, slice], ground: Ground,
    conditions: Conditions, state: SceneState,
) -> None:  # fmt: skip
    error_seed = derive_seed(conditions.key, SceneSalt.CLASSIFIER)
    error = stepped(error_seed, *ground.frame.box, ERROR_SCALES_PX, 0.8, 2)[corner]
    if state.clouds is not None and state.shadow is not None:
        shadow = (state.shadow[corner] > SHADOW_ABOVE) & (error > MISSES_SHADOW)
        classes[shadow] = SCL_SHADOW
    if state.cirrus is not None:
        veil = (state.cirrus[corner] > THIN_ABOVE) & (error > MISSES_THIN)
        classes[veil] = SCL_CIRRUS
    if state.clouds is not None:
        opacity = state.clouds.opacity[corner]
        classes[(opacity > THIN_ABOVE) & (error > MISSES_THIN)] = SCL_UNCLASSIFIED
        classes[opacity > MEDIUM_ABOVE] = SCL_CLOUD_MEDIUM
        classes[opacity > THICK_ABOVE] = SCL_CLOUD_HIGH


def cloud_score(state: SceneState) -> Field:
    """Return a score like Cloud Score+, (H, W), 0 (not clear) to 1 (clear); no errors over roofs.

    The score is 0.6 for a cloud opacity of 0.2, and for a shadow of about 0.35.
    """
    inner = slice(MARGIN_PX, -MARGIN_PX)
    score = np.ones_like(state.light[inner, inner])
    if state.clouds is not None and state.shadow is not None:
        score -= SCORE_CLOUD * state.clouds.opacity[inner, inner]
        score -= SCORE_SHADOW * state.shadow[inner, inner]
    if state.cirrus is not None:
        score -= SCORE_CLOUD * state.cirrus[inner, inner]
    return np.clip(score, 0, 1, out=score)
