"""Reflectance of materials and canopies in the L2A bands, and how it varies within each of them.

The values are means of published spectra (ECOSTRESS spectral library for soils and building
materials, PROSAIL simulations for canopies) at the bands of Sentinel-2, in DN.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Any

import numpy as np

from caco_data.sentinel2 import ALL_BANDS
from caco_data.sources.simulated.noise import Field


class Material(IntEnum):
    """Materials of the ground under the vegetation."""

    SOIL = 0
    """The soil of the place: a mixture of `SOILS`."""
    SAND = 1
    GRAVEL = 2
    ASPHALT = 3
    CONCRETE = 4
    RED_ROOF = 5
    BROWN_ROOF = 6
    GREY_ROOF = 7
    WHITE_ROOF = 8
    DARK_ROOF = 9
    BLUE_ROOF = 10
    SOLAR_PANEL = 11
    LITTER = 12
    GREENHOUSE = 13
    DITCH = 14
    """Shallow standing water in lines too narrow for `water`."""
    ROCK = 15
    TILLED = 16
    """The soil of the place in a field: tilled, or under stubble."""


class Soil(IntEnum):
    """Soils from which those of a place are mixed."""

    BROWN = 0
    GREY = 1
    RED = 2
    PALE = 3
    BLACK = 4


class Vegetation(IntEnum):
    """Vegetation types; each has its own course over the year."""

    NONE = 0
    CONIFER = 1
    BROADLEAF = 2
    MEADOW = 3
    CROP = 4
    """Annual crop: another one every year, see `crops`."""
    WEEDS = 5
    ORCHARD = 6
    VINE = 7
    SHRUB = 8
    GARDEN = 9


class Canopy(IntEnum):
    """Full canopies of annual crops; those of perennials have the numbers of `Vegetation`."""

    CEREAL = 10
    RIPE_CEREAL = 11
    RAPE = 12
    RAPE_IN_FLOWER = 13
    MAIZE = 14
    BEET = 15
    POTATO = 16
    SUNFLOWER = 17
    CLOVER = 18


# fmt: off
#: DN by material, bands as in ALL_BANDS:
#: B1 B2 B3 B4 B5 B6 B7 B8 B8A B9 B11 B12
_MATERIALS = {
    Material.SAND:        (1150, 1450, 2100, 2800, 3100, 3200, 3300, 3450, 3550, 3600, 4400, 4000),
    Material.GRAVEL:      (900, 1080, 1420, 1780, 1960, 2060, 2140, 2240, 2320, 2360, 2850, 2600),
    Material.ASPHALT:     (560, 640, 760, 840, 900, 960, 1010, 1070, 1120, 1130, 1290, 1200),
    Material.CONCRETE:    (1050, 1250, 1480, 1640, 1740, 1800, 1850, 1950, 2000, 2000, 2200, 2050),
    Material.RED_ROOF:    (560, 640, 900, 1430, 1680, 1780, 1860, 1950, 2050, 2060, 2420, 2200),
    Material.BROWN_ROOF:  (480, 560, 760, 1050, 1230, 1330, 1400, 1480, 1560, 1570, 1850, 1700),
    Material.GREY_ROOF:   (780, 900, 1020, 1080, 1130, 1180, 1230, 1300, 1350, 1360, 1500, 1420),
    Material.WHITE_ROOF:  (2300, 2700, 3000, 3150, 3200, 3250, 3250, 3350, 3400, 3300, 3000, 2750),
    Material.DARK_ROOF:   (400, 450, 520, 560, 610, 650, 680, 720, 770, 780, 880, 830),
    Material.BLUE_ROOF:   (1100, 1350, 1250, 900, 830, 850, 900, 960, 1050, 1080, 1500, 1300),
    Material.SOLAR_PANEL: (330, 400, 400, 370, 420, 520, 580, 640, 700, 700, 950, 850),
    Material.LITTER:      (230, 290, 430, 530, 780, 1150, 1350, 1500, 1650, 1650, 1900, 1300),
    Material.GREENHOUSE:  (2500, 2900, 3150, 3250, 3350, 3450, 3550, 3700, 3700, 3500, 2700, 2100),
    Material.DITCH:       (350, 380, 480, 380, 420, 500, 560, 580, 560, 480, 300, 180),
    Material.ROCK:        (1000, 1150, 1400, 1600, 1750, 1850, 1900, 1950, 2000, 2000, 2350, 2200),
}
#: DN by soil.
_SOILS = {
    Soil.BROWN: (460, 590, 920, 1320, 1570, 1760, 1910, 2060, 2200, 2270, 2950, 2550),
    Soil.GREY:  (720, 890, 1210, 1500, 1650, 1760, 1860, 1970, 2070, 2110, 2550, 2300),
    Soil.RED:   (400, 500, 920, 1850, 2150, 2250, 2330, 2420, 2500, 2550, 3300, 2800),
    Soil.PALE:  (1150, 1400, 1950, 2500, 2750, 2870, 2980, 3100, 3200, 3250, 3900, 3400),
    Soil.BLACK: (260, 310, 440, 560, 680, 800, 900, 1000, 1120, 1170, 1600, 1380),
}
#: DN of full canopies.
_GRASS =     (170, 210, 510, 260, 950, 3250, 4070, 4290, 4460, 4290, 2000, 950)
_CANOPIES = {
    Vegetation.NONE:         _GRASS,
    Vegetation.CONIFER:      (105, 120, 250, 130, 480, 1880, 2310, 2500, 2620, 2560, 950, 430),
    Vegetation.BROADLEAF:    (120, 140, 370, 160, 750, 2900, 3650, 3890, 4060, 3890, 1500, 650),
    Vegetation.MEADOW:       _GRASS,
    Vegetation.CROP:         _GRASS,
    Vegetation.WEEDS:        (200, 260, 560, 420, 1050, 2640, 3190, 3410, 3580, 3520, 2100, 1150),
    Vegetation.ORCHARD:      (150, 180, 420, 220, 780, 2530, 3140, 3300, 3470, 3360, 1550, 700),
    Vegetation.VINE:         (170, 200, 470, 270, 850, 2580, 3190, 3360, 3520, 3410, 1800, 850),
    Vegetation.SHRUB:        (180, 220, 420, 330, 780, 1930, 2310, 2480, 2640, 2640, 1800, 1000),
    Vegetation.GARDEN:       (150, 180, 430, 240, 800, 2580, 3190, 3410, 3520, 3410, 1600, 750),
    Canopy.CEREAL:           (150, 180, 460, 220, 880, 3300, 4180, 4400, 4560, 4340, 1700, 750),
    Canopy.RIPE_CEREAL:      (500, 650, 1000, 1350, 1650, 2100, 2450, 2700, 2900, 2950, 3000, 2000),
    Canopy.RAPE:             (150, 190, 600, 250, 1100, 3630, 4620, 4900, 5060, 4840, 2000, 900),
    Canopy.RAPE_IN_FLOWER:   (230, 300, 1250, 1150, 1800, 3300, 3960, 4240, 4460, 4290, 2000, 1000),
    Canopy.MAIZE:            (150, 180, 440, 220, 820, 3300, 4240, 4460, 4620, 4400, 1750, 750),
    Canopy.BEET:             (160, 190, 640, 210, 1150, 4400, 5610, 5830, 6000, 5720, 2150, 950),
    Canopy.POTATO:           (160, 200, 580, 250, 1050, 3850, 4950, 5170, 5340, 5120, 2000, 950),
    Canopy.SUNFLOWER:        (180, 230, 640, 380, 1150, 3410, 4240, 4460, 4620, 4460, 1950, 950),
    Canopy.CLOVER:           (150, 180, 560, 200, 1000, 4070, 5340, 5560, 5720, 5500, 2100, 900),
}
#: DN of stubble and straw, of snow and of opaque cloud.
STUBBLE =  (560, 720, 1080, 1400, 1660, 1850, 2000, 2150, 2280, 2350, 3050, 2300)
SNOW =     (8300, 8400, 8400, 8200, 8100, 7900, 7700, 7500, 7300, 6400, 900, 700)
CLOUD =    (8200, 7900, 7700, 7700, 7800, 7900, 7950, 8000, 8050, 5200, 4600, 3700)

#: Ways in which the spectra of one material or canopy differ between parcels, relative deviations
#: at one standard deviation: brightness; pigments or minerals (slope in the visible); the edge
#: between red and infrared; structure (infrared plateau); water (short-wave infrared).
MODES = np.array([
    (.15, .15, .15, .15, .14, .12, .12, .12, .12, .12, .14, .15),
    (-.06, -.05, .00, .045, .04, .01, .0, .0, .0, .0, .01, .02),
    (.0, -.01, .03, -.05, .09, .05, -.02, -.03, -.03, -.03, .02, .04),
    (.0, .0, .02, .0, .02, .06, .08, .09, .08, .07, -.02, -.05),
    (.0, .0, .0, .02, .01, .0, .0, -.01, -.01, -.02, .09, .15),
], dtype=np.float32)
# fmt: on


def _table(size: int, rows: Mapping[Any, tuple[int, ...]]) -> Field:
    table = np.zeros((len(ALL_BANDS), size), dtype=np.float32)
    for kind, row in rows.items():
        table[:, int(kind)] = row
    return table


MATERIALS: Field = _table(len(Material), _MATERIALS)
"""Reflectance of materials, (12, materials), DN; 0 for `SOIL` and `TILLED`."""
SOILS: Field = _table(len(Soil), _SOILS)
"""Reflectance of soils, (12, soils), DN."""
CANOPIES: Field = _table(len(Vegetation) + len(Canopy), _CANOPIES)
"""Reflectance of full canopies, (12, `Vegetation` and `Canopy`), DN."""
