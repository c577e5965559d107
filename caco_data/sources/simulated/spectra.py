"""Reflectance of materials and vegetation in the L2A bands; vegetation cover over the year."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from functools import lru_cache
from typing import Any

import numpy as np

from caco_data.sentinel2 import ALL_BANDS
from caco_data.sources.simulated.noise import Field


class Material(IntEnum):
    """Materials of the ground under the vegetation."""

    DARK_SOIL = 0
    LIGHT_SOIL = 1
    SAND = 2
    DEEP_WATER = 3
    TURBID_WATER = 4
    ASPHALT = 5
    CONCRETE = 6
    RED_ROOF = 7
    WHITE_ROOF = 8
    DARK_ROOF = 9
    SOLAR_PANEL = 10
    LITTER = 11


# fmt: off
#: DN by material, bands as in ALL_BANDS:
#: B1 B2 B3 B4 B5 B6 B7 B8 B8A B9 B11 B12
_MATERIALS = {
    Material.DARK_SOIL:    (320, 400, 620, 850, 1060, 1230, 1370, 1500, 1640, 1700, 2250, 1900),
    Material.LIGHT_SOIL:   (560, 720, 1100, 1560, 1800, 1980, 2130, 2280, 2400, 2450, 3200, 2750),
    Material.SAND:         (1150, 1450, 2100, 2800, 3100, 3200, 3300, 3450, 3550, 3600, 4400, 4000),
    Material.DEEP_WATER:   (330, 290, 250, 150, 120, 95, 85, 75, 65, 60, 35, 25),
    Material.TURBID_WATER: (480, 520, 680, 520, 430, 260, 240, 200, 150, 90, 60, 40),
    Material.ASPHALT:      (560, 640, 760, 820, 890, 950, 1000, 1060, 1110, 1120, 1270, 1170),
    Material.CONCRETE:     (1050, 1250, 1480, 1640, 1740, 1800, 1850, 1950, 2000, 2000, 2200, 2050),
    Material.RED_ROOF:     (560, 640, 900, 1400, 1650, 1760, 1850, 1950, 2050, 2050, 2400, 2200),
    Material.WHITE_ROOF:   (2300, 2700, 3000, 3150, 3200, 3250, 3250, 3350, 3400, 3300, 3000, 2750),
    Material.DARK_ROOF:    (400, 450, 520, 560, 610, 650, 680, 720, 770, 780, 880, 830),
    Material.SOLAR_PANEL:  (330, 400, 400, 370, 420, 520, 580, 640, 700, 700, 950, 850),
    Material.LITTER:       (260, 330, 500, 610, 880, 1250, 1450, 1600, 1750, 1750, 2000, 1400),
}
#: DN of full canopies: crops and grass, conifers, broadleaved trees; of snow and of opaque cloud.
_CROP =    (160, 190, 450, 230, 850, 2600, 3250, 3450, 3600, 3450, 1650, 750)
_CONIFER = (120, 135, 270, 140, 500, 1500, 1850, 2000, 2100, 2050, 950, 430)
_BROADLEAF = (130, 150, 350, 150, 680, 2150, 2700, 2900, 3050, 2900, 1350, 600)
SNOW =     (8300, 8400, 8400, 8200, 8100, 7900, 7700, 7500, 7300, 6400, 900, 700)
CLOUD =    (8200, 7900, 7700, 7700, 7800, 7900, 7950, 8000, 8050, 5200, 4600, 3700)
# fmt: on


class Vegetation(IntEnum):
    """Vegetation types; each has its own course over the year."""

    NONE = 0
    CONIFER = 1
    BROADLEAF = 2
    MEADOW = 3
    WINTER_CROP = 4
    SUMMER_CROP = 5
    EARLY_CROP = 6
    FALLOW = 7
    ORCHARD = 8
    SHRUB = 9
    GARDEN = 10


#: Minimum and maximum cover of the ground, 0..1.
_COVER = {
    Vegetation.NONE: (0.0, 0.0),
    Vegetation.CONIFER: (0.88, 0.95),
    Vegetation.BROADLEAF: (0.3, 0.97),
    Vegetation.MEADOW: (0.55, 0.9),
    Vegetation.WINTER_CROP: (0.06, 0.95),
    Vegetation.SUMMER_CROP: (0.04, 0.93),
    Vegetation.EARLY_CROP: (0.06, 0.9),
    Vegetation.FALLOW: (0.05, 0.35),
    Vegetation.ORCHARD: (0.25, 0.55),
    Vegetation.SHRUB: (0.3, 0.62),
    Vegetation.GARDEN: (0.35, 0.62),
}
#: Days of the northern year of green-up and of senescence or harvest, and their durations, days.
_COURSE = {
    Vegetation.CONIFER: (100, 300, 30, 30),
    Vegetation.BROADLEAF: (118, 298, 9, 12),
    Vegetation.MEADOW: (85, 310, 18, 25),
    Vegetation.WINTER_CROP: (78, 176, 14, 5),
    Vegetation.SUMMER_CROP: (168, 255, 10, 6),
    Vegetation.EARLY_CROP: (60, 160, 12, 5),
    Vegetation.FALLOW: (95, 170, 20, 20),
    Vegetation.ORCHARD: (105, 300, 15, 18),
    Vegetation.SHRUB: (95, 185, 20, 30),
    Vegetation.GARDEN: (105, 300, 18, 20),
}

#: Crops sown in autumn; fraction of their full cover in winter, day and duration of emergence.
_SOWN_IN_AUTUMN = (Vegetation.WINTER_CROP, Vegetation.EARLY_CROP)
_WINTER_COVER, _EMERGENCE_DAY, _EMERGENCE_DAYS = 0.6, 318, 9

#: Types that are evergreen in the tropics. The others grow there in two rainy seasons: first day of
#: the first season, and fraction of the cover that remains in the dry seasons.
_EVERGREEN = (Vegetation.CONIFER, Vegetation.BROADLEAF, Vegetation.ORCHARD, Vegetation.GARDEN)
_RAINS_DAY, _DRY_SEASON_COVER = 40, 0.25

#: Days in a year of the tables.
DAYS = 366


@lru_cache(maxsize=1)
def vegetation_cover() -> tuple[Field, Field]:
    """Return the cover by type and day of the northern year: temperate and tropical.

    Returns
    -------
    temperate, tropical : ndarray of float32, shape (types, 366)
        0..1.
    """
    day = np.arange(DAYS, dtype=np.float64)
    temperate = np.zeros((len(Vegetation), DAYS), dtype=np.float32)
    tropical = np.zeros_like(temperate)
    for kind, (up, down, rise, fall) in _COURSE.items():
        low, high = _COVER[kind]
        course = 1 / (1 + np.exp(-(day - up) / rise)) - 1 / (1 + np.exp(-(day - down) / fall))
        if kind in _SOWN_IN_AUTUMN:
            sown = 1 / (1 + np.exp(-(day - _EMERGENCE_DAY) / _EMERGENCE_DAYS))
            course += _WINTER_COVER * (sown + 1 / (1 + np.exp((day - up) / rise)))
        temperate[kind] = low + (high - low) * course
        rains = 0.5 - 0.5 * np.cos(4 * np.pi * (day - _RAINS_DAY) / DAYS)
        course = _DRY_SEASON_COVER + (1 - _DRY_SEASON_COVER) * rains
        tropical[kind] = high if kind in _EVERGREEN else low + (high - low) * course
    return temperate, tropical


def _table(kinds: type[IntEnum], rows: Mapping[Any, tuple[int, ...]]) -> Field:
    table = np.zeros((len(ALL_BANDS), len(kinds)), dtype=np.float32)
    for kind, row in rows.items():
        table[:, int(kind)] = row
    return table


MATERIALS: Field = _table(Material, _MATERIALS)
"""Reflectance of materials, (12, materials), DN."""
CANOPIES: Field = _table(
    Vegetation,
    {
        kind: _CONIFER if kind is Vegetation.CONIFER
        else _BROADLEAF if kind in (Vegetation.BROADLEAF, Vegetation.GARDEN, Vegetation.ORCHARD)
        else _CROP
        for kind in Vegetation
    },
)  # fmt: skip
"""Reflectance of full canopies, (12, vegetation types), DN."""
