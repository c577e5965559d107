"""Land cover classes."""

from __future__ import annotations

from enum import IntEnum


class Cover(IntEnum):
    """Land-cover classes, similar to those of EuroSAT."""

    SEA = 0
    LAKE = 1
    RIVER = 2
    FOREST = 3
    PASTURE = 4
    ANNUAL_CROP = 5
    PERMANENT_CROP = 6
    HERBACEOUS = 7
    BARE = 8
    RESIDENTIAL = 9
    INDUSTRIAL = 10
    HIGHWAY = 11
    SOLAR_PARK = 12
    GREENHOUSE = 13
    CONSTRUCTION = 14


WATER = (Cover.SEA, Cover.LAKE, Cover.RIVER)
