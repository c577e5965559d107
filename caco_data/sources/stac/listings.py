"""Listings of a tile and a year, kept in memory and on the disk: neighbouring locations share them.

On the disk they remain while the download is unfinished, so that it continues with the same scenes.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from contextlib import suppress
from typing import cast

from caco_data.sources.stac.blocks import SharedCache
from caco_data.sources.stac.disk_cache import DiskCache
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
    disk : DiskCache, optional
        Keeps the items for other processes and for the continuation of a download.
    service : str
        Names the service and its collections on the disk.
    """

    def __init__(
        self,
        search: Callable[[Area, int], list[Item]],
        disk: DiskCache | None = None,
        service: str = "",
    ) -> None:
        self._search = search
        self._disk = disk or DiskCache(None)
        self._service = service
        self._known: SharedCache[tuple[Area, int], tuple[Candidate, ...]] = SharedCache(
            lambda candidates: _SCENE_NBYTES * (1 + len(candidates)), CACHE_NBYTES
        )

    def candidates(self, area: Area, year: int) -> tuple[Candidate, ...]:
        """Return the scenes of a tile and a year, including duplicates."""
        key = area, year
        return self._known.get([key], lambda _: {key: self._load(area, year)})[key]

    def _load(self, area: Area, year: int) -> tuple[Candidate, ...]:
        parsed = (parse_item(item) for item in self._items(area, year))
        return tuple(
            one
            for one in parsed
            if one and (not area.names or not one.tile or one.tile in area.names)
        )

    def _items(self, area: Area, year: int) -> list[Item]:
        """Return the items from the disk, or else from the service."""
        key = f"listing of {self._service}: {area}, {year}"
        with self._disk.locked(key):
            if known := self._disk.get(key, 0):
                with suppress(ValueError, zlib.error):  # damaged on the disk: search again
                    return cast("list[Item]", json.loads(zlib.decompress(known)))
            items = self._search(area, year)
            self._disk.put(key, 0, zlib.compress(json.dumps(items).encode(), 1))
        return items
