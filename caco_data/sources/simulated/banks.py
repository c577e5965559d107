"""Land along rivers: trees and meadows on the banks, bars of sand and gravel in the bends."""

from __future__ import annotations

import numpy as np

from caco_data.sources.simulated.frame import FractalNoise
from caco_data.sources.simulated.land_cover import WATER
from caco_data.sources.simulated.layers import Layers
from caco_data.sources.simulated.noise import Field
from caco_data.sources.simulated.salts import WorldSalt
from caco_data.sources.simulated.spectra import Material, Vegetation
from caco_data.sources.simulated.surface import Surface

#: Field that decides between bars, open banks and trees.
BARS = FractalNoise(WorldSalt.RIVER_BARS, (40, 14), 0.7)
#: Bars where the field is above this, trees where it is below; their widths in pixels.
BAR_ABOVE, TREES_BELOW, BAR_PX, TREES_PX, TREES_HEIGHT = 1.4, 0.6, 1.6, 2.0, 0.3


def set_banks(surface: Surface, shore_px: Field, layers: Layers) -> None:
    """Draw the banks of rivers, in place; the distance of land from the river is negative."""
    bank = (shore_px < 0) & (shore_px > -max(BAR_PX, TREES_PX)) & ~np.isin(surface.cover, WATER)
    if not bank.any():
        return
    bars = layers.frame.fractal(BARS)
    bar = bank & (bars > BAR_ABOVE) & (shore_px > -BAR_PX)
    surface.material[bar] = Material.GRAVEL
    surface.vegetation[bar] = Vegetation.WEEDS
    surface.density[bar] = 0.15
    trees = bank & (bars < TREES_BELOW) & (shore_px > -TREES_PX)
    surface.vegetation[trees] = Vegetation.BROADLEAF
    surface.density[trees] = 1
    surface.material[trees] = Material.LITTER
    surface.height[trees] = TREES_HEIGHT
