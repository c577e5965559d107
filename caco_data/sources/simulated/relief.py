"""Relief: branching ridges, with rivers in valleys and lakes on level ground."""

from __future__ import annotations

import numpy as np

from caco_data.sources.simulated.layers import LAKE_ABOVE, Layers
from caco_data.sources.simulated.noise import Field
from caco_data.sources.simulated.salts import WorldSalt

#: Scales of the ridges, pixels; at a steepness of 1, the height of a ridge in pixels is
#: `RIDGE_HEIGHT` times its scale to the power of `RIDGE_EXPONENT`.
RIDGE_SCALES_PX = (420, 170, 74, 33, 15)
RIDGE_HEIGHT, RIDGE_EXPONENT = 0.21, 0.92
#: The slopes decrease towards rivers and lakes, where the field of the rivers is closer to 0 than
#: `VALLEY`, and that of the lakes to its shore than `HOLLOW`.
VALLEY, HOLLOW = np.float32(0.08), np.float32(0.35)
#: Height of the divides between rivers, pixels, per unit of the field whose zero lines are rivers.
DIVIDE_HEIGHT = np.float32(50)


def relief(layers: Layers) -> tuple[Field, Field]:
    """Return the slopes of the ground: rise over run to the east and south, (H, W) each.

    The ground rises from the rivers to the divides between them, and smaller ridges rise on it;
    they level off towards rivers and lakes.
    """
    wide = layers.frame.grown(1)
    height = np.zeros((wide.height, wide.width), dtype=np.float32)
    for number, scale in enumerate(RIDGE_SCALES_PX):
        # The absolute value makes sharp valley lines, like those cut by streams.
        ridges = np.abs(wide.noise(WorldSalt.RIDGES + number, scale))
        height += np.float32(RIDGE_HEIGHT * scale**RIDGE_EXPONENT) * ridges
    river = np.abs(layers.river_course)
    height += DIVIDE_HEIGHT * river
    steepness = np.minimum(river / VALLEY, 1)
    steepness *= np.clip((np.float32(LAKE_ABOVE) - layers.lake_field) / HOLLOW, 0, 1)
    inner = slice(1, -1), slice(1, -1)
    factor = steepness[inner] * layers.steepness
    east, south = slopes_of(height)
    return east[inner] * factor, south[inner] * factor


def slopes_of(height: Field) -> tuple[Field, Field]:
    """Return the slopes of heights in pixels, (H, W), to the east and south; 0 at the border."""
    east, south = np.zeros_like(height), np.zeros_like(height)
    east[:, 1:-1] = (height[:, 2:] - height[:, :-2]) / 2
    south[1:-1] = (height[2:] - height[:-2]) / 2
    return east, south
