"""Textures of a growing year: how unevenly crops and grass grow in it, and the fixed fertility."""

from __future__ import annotations

import numpy as np

from caco_data.sources.simulated.frame import Frame
from caco_data.sources.simulated.layers import WHITE_TO_UNIT, Layers
from caco_data.sources.simulated.noise import Field, derive_seed, stepped, white
from caco_data.sources.simulated.salts import YearSalt

#: Weights in the growth: fixed fertility of the soil, coarse and fine; the same drawn anew every
#: year. Their squares add up to 1. On real fields about two thirds of the detail finer than 40 m
#: remains from year to year.
FIXED_COARSE, FIXED_FINE, YEAR_COARSE, YEAR_FINE = 0.5, 0.25, 0.8, 0.25
#: Scales of the year's coarse texture (wet hollows, failed patches, lodging) and step, pixels.
YEAR_SCALES_PX, YEAR_GAIN, YEAR_STEP_PX = (26, 10), 0.8, 2


def fixed_texture(layers: Layers) -> Field:
    """Return the part of the growth that is the same in every year, (H, W)."""
    return np.asarray(
        np.float32(FIXED_COARSE) * layers.coarse_texture
        + np.float32(FIXED_FINE) * layers.fine_texture
    )


def growth(frame: Frame, fixed: Field, year: int) -> Field:
    """Return the deviation of the growth in a year, unit variance, (H, W)."""
    coarse_seed = derive_seed(frame.seed, YearSalt.COARSE, year)
    total = stepped(coarse_seed, *frame.box, YEAR_SCALES_PX, YEAR_GAIN, YEAR_STEP_PX).copy()
    total *= np.float32(YEAR_COARSE)
    total += fixed
    fine = white(derive_seed(frame.seed, YearSalt.FINE, year), *frame.box)
    fine *= np.float32(YEAR_FINE) * WHITE_TO_UNIT
    total += fine
    return total
