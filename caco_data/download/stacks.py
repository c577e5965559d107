"""Filling of stacks: reading of the planned scenes, acceptance of clear tiles."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from caco_data.download.settings import SceneSettings
from caco_data.types import PeriodPlan, Rejection, Scene, Slot, Stack, Tile

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
    """Result of a read: too cloudy according to Cloud Score+; the bands were not read."""

    clear_fraction: float
    """Clear fraction of the patch, 0..1."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Result of a read: the source has a permanent error for this scene."""

    message: str
    """Error message of the source."""


def clear_fraction(scl: NDArray[np.uint8]) -> float:
    """Fraction of SCL pixels, any shape, in one of the classes `CLEAR_CLASSES`."""
    return float(np.count_nonzero(_IS_CLEAR[scl]) / scl.size)


def clear_fraction_by_score(score: NDArray[np.float32]) -> float:
    """Fraction of pixels, any shape, with a Cloud Score+ of at least `CLEAR_SCORE`."""
    return float(np.count_nonzero(score >= np.float32(CLEAR_SCORE)) / score.size)


def has_nodata(tile: Tile) -> bool:
    """Whether any pixel is masked: SCL class 0, or 0 in every band."""
    return bool((tile.scl == 0).any() or (tile.pixels == 0).all(axis=0).any())


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
        The rejection names the first slot without a tile; its reason is `unreadable scenes` when
        any scene of the period was unreadable, else `too cloudy`.
    """
    accepted: dict[int, Tile] = {}
    tried: set[str] = set()
    unreadable: list[Unreadable] = []
    spacing = timedelta(days=settings.min_spacing_days)

    def first_good(scenes: Iterable[Scene]) -> Tile | None:
        for scene in islice(scenes, MAX_CANDIDATES):
            tried.add(scene.image_id)
            tile = read(scene)
            if isinstance(tile, Unreadable):
                unreadable.append(tile)
            elif isinstance(tile, Tile) and _acceptable(tile, settings):
                return tile
        return None

    def borrowable(slot: Slot) -> list[Scene]:
        return [
            scene
            for scene in slot.fallback
            if scene.image_id not in tried
            and all(abs(scene.acquired - t.scene.acquired) >= spacing for t in accepted.values())
        ]

    for slot in plan.slots:
        if tile := first_good(slot.candidates):
            accepted[slot.t] = tile
    for slot in plan.slots:
        if slot.t not in accepted:
            tile = first_good(borrowable(slot))
            if tile is None:
                detail = f"{plan.period.name} slot {slot.t}: no clear tile in {len(tried)} tried"
                if unreadable:
                    detail += f"; {unreadable[-1].message}"
                    return Rejection(location_id, "unreadable scenes", detail)
                return Rejection(location_id, "too cloudy", detail)
            accepted[slot.t] = tile
    return Stack(plan.period.name, tuple(accepted[slot.t] for slot in plan.slots))


def _acceptable(tile: Tile, settings: SceneSettings) -> bool:
    return tile.clear_fraction >= settings.min_clear and not has_nodata(tile)
