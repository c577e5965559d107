"""An embedded, deterministic Sentinel-2 archive: for demos, tests and benchmarks.

Its land follows the real coast and the real cities; plants grow by latitude and season, crops
rotate, clouds pass with their shadows, and some places change for good, more often near cities. It
knows what changed (`truth`). It is held against real statistics by `tests/test_statistics.py`.

A pixel is a function of the seed, the UTM zone, its absolute coordinates and the scene: grids that
overlap agree. Needs numpy, pyarrow and pyproj only.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from caco_data.errors import PermanentError
from caco_data.grid import SNAP_M, false_northing_m
from caco_data.sentinel2 import BAND_PIXEL_M, PIXEL_M, SCL_BAND
from caco_data.sources.limiter import Limiter
from caco_data.sources.simulated.catalogue import (
    EPOCH,
    Take,
    centre,
    find,
    nodata,
    scenes_over,
    touches,
)
from caco_data.sources.simulated.ground import MARGIN_PX, Ground, make_ground
from caco_data.sources.simulated.land_cover import Cover
from caco_data.sources.simulated.noise import mix
from caco_data.sources.simulated.render import View, band, cloud_score, look_of, scenery, scl
from caco_data.types import Footprint, Grid, Period, Scene, Truth
from caco_data.world.geodesy import LONGITUDE_DEGREE_M

#: Places kept, about 4 MB each: every tile of a location wants the same one, and as many locations
#: are under way as a process has requests in flight (40 by default).
PLACES = 48


class SimulatedSource:
    """The archive; its methods may be called from many threads."""

    def __init__(self, seed: int, limiter: Limiter) -> None:
        self._seed = seed
        self._limiter = limiter
        self._lock = threading.Lock()
        self._places: OrderedDict[Grid, Ground] = OrderedDict()

    def list_scenes(
        self, footprint: Footprint, start: datetime, end: datetime, max_cloud_pct: float = 100.0
    ) -> list[Scene]:
        """List the scenes that touch a footprint; see `ImageSource.list_scenes`."""
        longitude = float(np.mean(footprint.longitudes))
        latitude = float(np.mean(footprint.latitudes))
        high = np.ptp(footprint.latitudes) / 2
        wide = np.ptp(footprint.longitudes) / 2 * np.cos(np.radians(latitude))
        half_m = float(max(high, wide)) * LONGITUDE_DEGREE_M + 100
        with self._limiter.request():
            return [
                scene
                for scene in scenes_over(self._seed, longitude, latitude, half_m, start, end)
                if scene.cloud_pct <= max_cloud_pct and touches(scene.footprint, footprint)
            ]

    def read_tile(self, scene: Scene, grid: Grid, bands: Sequence[str]) -> NDArray[np.uint16]:
        """Read a scene on a grid in its CRS; see `ImageSource.read_tile`.

        Raises
        ------
        PermanentError
            For an unknown scene or band, or a grid in another CRS or off the 60 m lattice.
        """
        for name in bands:
            if name not in BAND_PIXEL_M and name != SCL_BAND:
                raise PermanentError(f"No band '{name}'", scene.image_id)
        _check(scene, grid)
        take = find(self._seed, scene.image_id)
        with self._limiter.request():
            ground = self._place(grid)
            view = self._view(take)
            seen = scenery(ground, view)
            tile = np.stack(
                [
                    scl(ground, view, seen) if name == SCL_BAND else band(ground, view, seen, name)
                    for name in bands
                ]
            )
        missing = nodata(take, grid)
        if missing is not None:
            tile[:, missing] = 0
        return tile

    def read_cloud_score(self, scene: Scene, grid: Grid) -> NDArray[np.float32]:
        """Read how clear a scene is; see `CloudScoreSource.read_cloud_score`."""
        _check(scene, grid)
        take = find(self._seed, scene.image_id)
        with self._limiter.request():
            score = cloud_score(scenery(self._place(grid), self._view(take)))
        missing = nodata(take, grid)
        if missing is not None:
            score[missing] = 0
        return score

    def truth(self, grid: Grid, early: Period, late: Period) -> Truth:
        """What changed for good between the middles of two periods; see `TruthSource`."""
        ground = self._place(grid)
        inner = slice(MARGIN_PX, -MARGIN_PX)
        first, last = (
            look_of(ground, _days(period.start + (period.end - period.start) / 2)).cover
            for period in (early, late)
        )
        first, last = first[inner, inner], last[inner, inner]
        counts = np.bincount(first.ravel(), minlength=len(Cover))
        return Truth(float(np.mean(first != last)), Cover(int(counts.argmax())).name.lower())

    def _view(self, take: Take) -> View:
        scene = take.scene
        day = int(_days(scene.acquired))
        # The weather of a pass is one, over all the tiles it is cut into.
        key = int(mix(self._seed, scene.epsg, day)) >> 1
        return View(key, day, centre(take.tile)[1], scene.cloud_pct / 100)

    def _place(self, grid: Grid) -> Ground:
        with self._lock:
            ground = self._places.get(grid)
            if ground is not None:
                self._places.move_to_end(grid)
                return ground
        ground = make_ground(grid, self._seed)
        with self._lock:
            self._places[grid] = ground
            if len(self._places) > PLACES:
                self._places.popitem(last=False)
        return ground


def _check(scene: Scene, grid: Grid) -> None:
    """Refuse grids on which the archive has no pixels."""
    if grid.epsg != scene.epsg:
        raise PermanentError(f"The scene is in EPSG:{scene.epsg}", scene.image_id)
    block = SNAP_M // PIXEL_M
    north = grid.top_m - int(false_northing_m(grid.epsg))
    if grid.left_m % SNAP_M or north % SNAP_M or grid.width_px % block or grid.height_px % block:
        raise PermanentError(f"The grid is not on the {SNAP_M} m lattice", str(grid))


def _days(when: datetime) -> float:
    return (when - EPOCH).total_seconds() / 86_400
