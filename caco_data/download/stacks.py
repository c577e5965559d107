"""From a plan to stacks: which tiles are read, and which are accepted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from caco_data.download.plan import _clearest, _neighbourhood
from caco_data.download.settings import SceneSettings
from caco_data.types import Scene, Slot, Stack, Tile

#: SCL classes that show the ground (Sentinel-2 L2A product guide): dark area, vegetation, not
#: vegetated, water, unclassified, snow. Not: no data, defective, shadow, cloud, cirrus.
CLEAR_CLASSES = (2, 4, 5, 6, 7, 11)
_IS_CLEAR = np.isin(np.arange(256), CLEAR_CLASSES)
#: Tries in a slot before it borrows from a neighbouring slot.
MAX_CANDIDATES = 3
#: Least Cloud Score+ (`cs_cdf`) of a clear pixel: "values between 0.50 and 0.65 generally work
#: well" (Earth Engine catalogue, "Cloud Score+ S2_HARMONIZED").
CLEAR_SCORE = 0.60


def clear_fraction(scl: NDArray[np.uint8]) -> float:
    """Share of SCL pixels, any shape, whose class is one of `CLEAR_CLASSES`."""
    return float(np.count_nonzero(_IS_CLEAR[scl]) / scl.size)


def clear_fraction_by_score(score: NDArray[np.float32]) -> float:
    """Share of pixels, any shape, whose Cloud Score+ is at least `CLEAR_SCORE`."""
    return float(np.count_nonzero(score >= np.float32(CLEAR_SCORE)) / score.size)


def has_nodata(tile: Tile) -> bool:
    """Whether any pixel is masked: SCL class 0, or 0 in every band."""
    return bool((tile.scl == 0).any() or (tile.pixels == 0).all(axis=0).any())


def fill_stack(
    cut: Sequence[Slot], read: Callable[[Scene], Tile | None], settings: SceneSettings
) -> Stack | str:
    """Fill the slots of one period, reading as few tiles as possible.

    Parameters
    ----------
    cut : sequence of Slot
        The period's slots.
    read : callable
        Reads the tile of a scene; None when it can never be read, or is known to be cloudy.
    settings : SceneSettings

    Returns
    -------
    Stack or str
        The stack, or what is missing.
    """
    accepted: dict[int, Tile] = {}
    tried: set[str] = set()

    def first_good(candidates: Iterable[Scene]) -> Tile | None:
        for scene in list(candidates)[:MAX_CANDIDATES]:
            tried.add(scene.image_id)
            tile = read(scene)
            if tile and tile.clear_fraction >= settings.min_clear and not has_nodata(tile):
                return tile
        return None

    def borrowable(slot: Slot) -> list[Scene]:
        far = timedelta(days=settings.min_spacing_days)
        return sorted(
            (
                scene
                for other in _neighbourhood(slot, cut)
                for scene in other.candidates
                if scene.image_id not in tried
                and all(abs(scene.acquired - t.scene.acquired) >= far for t in accepted.values())
            ),
            key=_clearest,
        )

    for slot in cut:
        if tile := first_good(slot.candidates):
            accepted[slot.t] = tile
    for slot in cut:
        if slot.t not in accepted:
            tile = first_good(borrowable(slot))
            if tile is None:
                return f"{slot.period} slot {slot.t}: no clear tile in {len(tried)} tried"
            accepted[slot.t] = tile
    return Stack(cut[0].period, tuple(accepted[slot.t] for slot in cut))
