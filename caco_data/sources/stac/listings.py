"""Listings of a tile and a year, kept so that neighbouring locations share them."""

from __future__ import annotations

from collections.abc import Callable

from caco_data.sources.stac.blocks import SharedCache
from caco_data.sources.stac.items import Candidate, Item, parse_item
from caco_data.sources.stac.mgrs import Area

#: Memory for listings, per process.
CACHE_NBYTES = 128 << 20
#: Approximate size of a scene in memory.
_SCENE_NBYTES = 4000


class Listings:
    """Candidates by tile and year; may be used from several threads.

    Parameters
    ----------
    search : callable
        Returns the trimmed items of a tile and a year.
    """

    def __init__(self, search: Callable[[Area, int], list[Item]]) -> None:
        self._search = search
        self._known: SharedCache[tuple[Area, int], tuple[Candidate, ...]] = SharedCache(
            lambda candidates: _SCENE_NBYTES * (1 + len(candidates)), CACHE_NBYTES
        )

    def candidates(self, area: Area, year: int) -> tuple[Candidate, ...]:
        """Return the scenes of a tile and a year, including duplicates."""
        key = area, year
        return self._known.get([key], lambda _: {key: self._load(area, year)})[key]

    def _load(self, area: Area, year: int) -> tuple[Candidate, ...]:
        parsed = (parse_item(item) for item in self._search(area, year))
        return tuple(
            one
            for one in parsed
            if one and (not area.names or not one.tile or one.tile in area.names)
        )
