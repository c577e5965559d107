"""Kinds of permanent change, by the land cover before and after."""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from caco_data.sources.simulated.land_cover import Cover


class ChangeKind(IntEnum):
    """What happened to a pixel between two dates."""

    NONE = 0
    HOUSING = 1
    INDUSTRY = 2
    CONSTRUCTION = 3
    """A building site at the second date."""
    FELLING = 4
    QUARRYING = 5
    PLOUGHING_UP = 6
    SOLAR_PARK = 7
    FLOODING = 8
    GREENHOUSES = 9
    OTHER = 10


_BY_COVER_AFTER = {
    Cover.RESIDENTIAL: ChangeKind.HOUSING, Cover.INDUSTRIAL: ChangeKind.INDUSTRY,
    Cover.CONSTRUCTION: ChangeKind.CONSTRUCTION, Cover.HERBACEOUS: ChangeKind.FELLING,
    Cover.BARE: ChangeKind.QUARRYING, Cover.ANNUAL_CROP: ChangeKind.PLOUGHING_UP,
    Cover.SOLAR_PARK: ChangeKind.SOLAR_PARK, Cover.LAKE: ChangeKind.FLOODING,
    Cover.GREENHOUSE: ChangeKind.GREENHOUSES,
}  # fmt: skip
_TABLE = np.array([_BY_COVER_AFTER.get(cover, ChangeKind.OTHER) for cover in Cover], np.uint8)


def kinds_of_change(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the kind of change of each pixel.

    Parameters
    ----------
    before, after : ndarray of uint8, shape (H, W)
        `Cover` at the first and at the second date.

    Returns
    -------
    ndarray of uint8, shape (H, W)
        `ChangeKind`; 0 where the land cover is the same.
    """
    kinds = _TABLE.take(after)
    kinds[(after == Cover.BARE) & (before == Cover.FOREST)] = ChangeKind.FELLING
    kinds[before == after] = ChangeKind.NONE
    return kinds
