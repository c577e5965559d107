"""Filling of stacks: reading of the planned scenes, acceptance of clear tiles."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from caco_data.download.settings import SceneSettings
from caco_data.types import PeriodPlan, Rejection, RejectionReason, Scene, Slot, Stack, Tile

#: SCL classes that show the ground (Sentinel-2 L2A product guide): dark area, vegetation, not
#: vegetated, water, unclassified, snow; without no data, defective, shadow, cloud, cirrus.
CLEAR_CLASSES = (2, 4, 5, 6, 7, 11)
_IS_CLEAR = np.isin(np.arange(256), CLEAR_CLASSES)
#: Maximum number of scenes tried per slot, and again among those of its neighbours.
MAX_CANDIDATES = 3
#: Minimum Cloud Score+ (`cs_cdf`) of a clear pixel: "values between 0.50 and 0.65 generally work
#: well" (Earth Engine catalogue, "Cloud Score+ S2_HARMONIZED").
CLEAR_SCORE = 0.60


@dataclass(frozen=True, slots=True)
class Cloudy:
    """Result of a read: too cloudy or without data in places; the bands were not read."""

    clear_fraction: float
    """Clear fraction of the patch, 0..1."""
    nodata: bool = False
    """Whether any pixel has no data."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Result of a read: the source has a permanent error for this scene."""

    message: str
    """Error message of the source."""
    reason: RejectionReason = "unreadable scenes"
    """Reason of the rejection if no other scene is accepted."""


def clear_fraction(scl: NDArray[np.uint8]) -> float:
    """Fraction of SCL pixels, any shape, in one of the classes `CLEAR_CLASSES`."""
    return float(np.count_nonzero(_IS_CLEAR[scl]) / scl.size)


def clear_fraction_by_score(score: NDArray[np.float32]) -> float:
    """Fraction of pixels, any shape, with a Cloud Score+ of at least `CLEAR_SCORE`."""
    return float(np.count_nonzero(score >= np.float32(CLEAR_SCORE)) / score.size)


def has_nodata(tile: Tile) -> bool:
    """Whether any pixel has no data, which is SCL class 0; a DN of 0 elsewhere is a dark pixel."""
    return bool((tile.scl == 0).any())


def fill_stack(
    location_id: int,
    plan: PeriodPlan,
    read: Callable[[Scene], Tile | Cloudy | Unreadable],
    settings: SceneSettings,
) -> Stack | Rejection:
    """Fill the slots of one period, reading as few tiles as possible.

    The candidates of every slot are tried first. A slot that remains empty then gets a scene of a
    neighbouring slot, at least `min_spacing_days` from every accepted tile.

    Parameters
    ----------
    location_id : int
        Location, for the rejection.
    plan : PeriodPlan
        The period's slots.
    read : callable
        Reads the tile of a scene.
    settings : SceneSettings
        Minimum clear fraction and spacing.

    Returns
    -------
    Stack or Rejection
        The rejection names the first slot without a tile, and the reason according to the scenes
        that were tried for it.
    """
    accepted: dict[int, Tile] = {}
    tried: set[str] = set()
    refused: dict[int, list[Tile | Cloudy | Unreadable]] = {slot.t: [] for slot in plan.slots}
    spacing = timedelta(days=settings.min_spacing_days)

    def try_scenes(slot: Slot, scenes: Iterable[Scene]) -> None:
        for scene in islice(scenes, MAX_CANDIDATES):
            tried.add(scene.image_id)
            tile = read(scene)
            if isinstance(tile, Tile) and _acceptable(tile, settings):
                accepted[slot.t] = tile
                return
            refused[slot.t].append(tile)

    def borrowable(slot: Slot) -> list[Scene]:
        return [
            scene
            for scene in slot.fallback
            if scene.image_id not in tried
            and all(abs(scene.acquired - t.scene.acquired) >= spacing for t in accepted.values())
        ]

    for slot in plan.slots:
        try_scenes(slot, slot.candidates)
    for slot in plan.slots:
        if slot.t not in accepted:
            try_scenes(slot, borrowable(slot))
        if slot.t not in accepted:
            reason, detail = _reason(refused[slot.t])
            return Rejection(location_id, reason, f"{plan.period.name} slot {slot.t}: {detail}")
    return Stack(plan.period.name, tuple(accepted[slot.t] for slot in plan.slots))


def _reason(refused: list[Tile | Cloudy | Unreadable]) -> tuple[RejectionReason, str]:
    """Reason and detail of the rejection because of a slot for which these scenes were tried."""
    if not refused:
        return "too few scenes", "its scenes fill other slots, or are too close to theirs"
    detail = f"no clear tile in {len(refused)} tried"
    for one in reversed(refused):
        if isinstance(one, Unreadable):
            return one.reason, f"{detail}; {one.message}"
    if any(_without_data(one) for one in refused):
        return "nodata", f"{detail}; pixels without data"
    return "too cloudy", detail


def _without_data(refused: Tile | Cloudy | Unreadable) -> bool:
    if isinstance(refused, Tile):
        return has_nodata(refused)
    return isinstance(refused, Cloudy) and refused.nodata


def _acceptable(tile: Tile, settings: SceneSettings) -> bool:
    return tile.clear_fraction >= settings.min_clear and not has_nodata(tile)
