"""An image source for benchmarks that costs almost no time: constant pixels, always clear.

It has one scene every five days per UTM zone.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from caco_data.errors import PermanentError
from caco_data.grid import UTM_NORTH, UTM_SOUTH, utm_epsg
from caco_data.sentinel2 import SCL_BAND
from caco_data.types import Footprint, Grid, Scene

EPOCH = datetime(2015, 7, 1, 10, 30, tzinfo=UTC)
REVISIT = timedelta(days=5)
#: DN of every band; vegetation in the scene classification.
DN, VEGETATION = 1500, 4


@lru_cache(maxsize=65_536)
def flat_scene(number: int, epsg: int) -> Scene:
    """Return the scene of a pass over a UTM zone."""
    acquired = EPOCH + number * REVISIT
    south = epsg > UTM_SOUTH
    middle = (epsg % 100) * 6 - 183.0
    # Patches at the zone's edge extend beyond it, and the zones of Norway and Svalbard are wider.
    west, east = middle - 10, middle + 10
    low, high = (-85.0, 1.0) if south else (-1.0, 85.0)
    stamp = f"{acquired:%Y%m%dT%H%M%S}"
    return Scene(
        f"{stamp}_{stamp}_T{epsg % 100:02d}{'M' if south else 'N'}AA", acquired, 1.0, epsg,
        Footprint((west, east, east, west), (high, high, low, low)), "05.09",
    )  # fmt: skip


def find_flat(image_id: str) -> Scene:
    """Find a scene by its image id.

    Raises
    ------
    PermanentError
        When there is none with that id.
    """
    match = re.fullmatch(r"(\d{8}T\d{6})_\1_T(\d\d)([MN])AA", image_id)
    if match:
        acquired = datetime.strptime(match[1], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
        zone = (UTM_SOUTH if match[3] == "M" else UTM_NORTH) + int(match[2])
        scene = flat_scene((acquired - EPOCH) // REVISIT, zone)
        if scene.image_id == image_id:
            return scene
    raise PermanentError("No such scene", image_id)


class FlatSource:
    """The image source."""

    def list_scenes(
        self, footprint: Footprint, start: datetime, end: datetime, max_cloud_pct: float = 100.0
    ) -> list[Scene]:
        """List one scene every five days, in the zone of the footprint's centre."""
        epsg = int(utm_epsg(np.mean(footprint.longitudes), np.mean(footprint.latitudes)))
        first = max(0, -((EPOCH - start) // REVISIT))
        last = max(0, -((EPOCH - end) // REVISIT))
        return [flat_scene(number, epsg) for number in range(first, last)]

    def read_tile(self, scene: Scene, grid: Grid, bands: Sequence[str]) -> NDArray[np.uint16]:
        """Return constant pixels."""
        values = np.array([VEGETATION if band == SCL_BAND else DN for band in bands], np.uint16)
        return np.broadcast_to(
            values[:, None, None], (len(bands), grid.height_px, grid.width_px)
        ).copy()
