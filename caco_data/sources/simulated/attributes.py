"""Numbers of the random attributes of parcels; see `Parcels.number`."""

from __future__ import annotations

from enum import IntEnum


class FieldAttribute(IntEnum):
    """Attributes of fields."""

    FARMING = 3
    FOREST = 4
    BRIGHTNESS = 6
    TONE = 7
    UNCULTIVATED = 9
    EDGE = 10
    VINE = 11
    TRACK = 12
    FERTILITY = 13


class StandAttribute(IntEnum):
    """Attributes of stands of forest."""

    CONIFER = 1
    TONE = 2


class BlockAttribute(IntEnum):
    """Attributes of blocks of houses."""

    BUILT = 1
    ROOF = 2
    LOT_SIDE = 3
    GREEN = 4


class EstateAttribute(IntEnum):
    """Attributes of estates."""

    INDUSTRY = 1
    PARK = 2
    PARK_COVER = 3
    HALL_WIDTH = 4
    HALL_LENGTH = 5
    BUILT = 6
    ROOF = 7
