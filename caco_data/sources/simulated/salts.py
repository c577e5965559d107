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
    RIDGES = 710
    """Salt of the first scale; the next scales use the next numbers."""


class SceneSalt(IntEnum):
    """Fields of one day or scene; hashed with the archive's or the scene's seed."""

    SNOW_SPELL = 5
    SOIL_MOISTURE = 6
    TILLAGE = 8
    CLOUD_FRONT = 11
    LOCAL_CLOUD = 12
    HAZE_LEVEL = 21
    HAZE_DRIFT = 22
    SENSOR_NOISE = 31
    CIRRUS = 41
