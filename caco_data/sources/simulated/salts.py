"""Salts: numbers that are hashed with a seed, so that the random fields are independent.

Changing a number changes the images for a given seed.
"""

from __future__ import annotations

from enum import IntEnum


class WorldSalt(IntEnum):
    """Fields of the ground; hashed with the seed of a UTM zone's world."""

    SHORE_EAST = 31
    SHORE_SOUTH = 32
    VILLAGES = 41
    FIELDS = 51
    BLOCKS = 52
    ESTATES = 53
    STANDS = 54
    FARMSTEADS = 55
    CHANGES = 61
    CHANGE_OUTLINE = 62
    STEEPNESS = 72
    FINE_TEXTURE = 81
    PIXEL_NOISE = 82
    COARSE_TEXTURE = 83
    REGION = 84
    DRYNESS = 85
    UNCULTIVATED = 86
    LAKES = 87
    TOWN_EDGE = 88
    INDUSTRY = 89
    MOTORWAYS = 91
    MAIN_ROADS = 92
    RIVER_COURSE = 93
    RIVER_BENDS = 94
    RIVER_WINDINGS = 95
    RIVER_WIDTH = 96
    TOWN_CORES = 97
    FOREST_STANDS = 98
    FARMING = 99
    MOTORWAY_BENDS = 101
    MAIN_ROAD_BENDS = 102
    RAILWAYS = 103
    RAILWAY_BENDS = 104
    LOCAL_ROADS = 105
    LOCAL_ROAD_BENDS = 106
    CROWNS = 107
    ROOF_COLOURS = 108
    WATER_COLOUR = 111
    WATER_TURBIDITY = 112
    RIVER_BARS = 113
    SPECIALISATION = 200
    """Salt of the first crop; the next crops use the next numbers."""
    PALETTE = 250
    """Salt of the first mode of the spectra; the next modes use the next numbers."""
    SOILS = 300
    """Salt of the first soil and scale; the next ones use the next numbers."""
    RIDGES = 710
    """Salt of the first scale; the next scales use the next numbers."""


class YearSalt(IntEnum):
    """Fields of one growing year; hashed with the world's seed and the year."""

    FINE = 401
    COARSE = 402


class SceneSalt(IntEnum):
    """Fields of one day or scene; hashed with the archive's or the scene's seed."""

    SNOW_SPELL = 5
    SOIL_MOISTURE = 6
    CLOUD_FRONT = 11
    LOCAL_CLOUD = 12
    AIR = 21
    AIR_DRIFT = 22
    SUN_DRIFT = 23
    SENSOR_NOISE = 31
    CLOUD_CLUSTERS = 42
    CLOUD_CELLS = 43
    CLOUD_DETAIL = 44
    CIRRUS = 45
    CLOUD_KIND = 46
    SHIFT = 51
    JITTER_EAST = 52
    JITTER_SOUTH = 53
    WATER = 61
    GLINT = 62
    FLOOD = 63
    CLASSIFIER = 71
    CARS = 81
    CANOPY = 82
    SOIL = 83
    GAPS = 84
