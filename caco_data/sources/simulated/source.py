"""A simulated, deterministic Sentinel-2 archive for demonstrations, tests and benchmarks.

Coasts and cities are the real ones. Vegetation follows latitude and season, crops rotate, clouds
cast shadows, and some places change permanently, more often near cities; `truth` reports these
changes. `tests/sources/simulated/test_statistics.py` compares the images with real statistics.

A pixel depends only on the seed, the UTM zone, its absolute coordinates and the scene, so that
overlapping grids agree. Requires numpy, pyarrow and pyproj only.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from caco_data.change_mask import encode_mask
from caco_data.errors import PermanentError
from caco_data.grid import SNAP_M, false_northing_m
from caco_data.sentinel2 import BAND_PIXEL_M, PIXEL_M, SCL_BAND
from caco_data.sources.limiter import Limiter
from caco_data.sources.simulated.catalogue import (
    EPOCH,
    Acquisition,
    find,
    scenes_over,
    touches,
)
from caco_data.sources.simulated.change_kinds import kinds_of_change
from caco_data.sources.simulated.classification import cloud_score, scene_classes
from caco_data.sources.simulated.conditions import Conditions
from caco_data.sources.simulated.ground import Ground, make_ground
from caco_data.sources.simulated.land_cover import Cover
from caco_data.sources.simulated.noise import derive_seed
from caco_data.sources.simulated.render import band
from caco_data.sources.simulated.scene_state import SceneState, scene_state
from caco_data.sources.simulated.swath import nodata, swath_side
from caco_data.sources.simulated.tiling import centre
from caco_data.sources.simulated.view import MARGIN_PX, View, view
from caco_data.types import Footprint, Grid, Period, Scene, Truth
from caco_data.world.geodesy import LONGITUDE_DEGREE_M

#: Maximum number of cached grounds, about 4 MB each. All tiles of a location use the same ground,
#: and a process fetches as many locations at a time as it has requests in flight (40 by default).
CACHED_GROUNDS = 48
#: Margin around footprints when tiles are searched, metres.
SEARCH_MARGIN_M = 100


class SimulatedSource:
    """The archive; its methods may be called from several threads.

    Parameters
    ----------
    seed : int
        Seed of the land, the changes and the weather.
    limiter : Limiter
        Limits the requests.
    truth_masks : bool
        Whether `truth` includes the change mask.
    """

    def __init__(self, seed: int, limiter: Limiter, truth_masks: bool = False) -> None:
        self._seed = seed
        self._limiter = limiter
        self._truth_masks = truth_masks
        self._lock = threading.Lock()
        self._grounds: OrderedDict[Grid, Ground] = OrderedDict()

    def list_scenes(
        self, footprint: Footprint, start: datetime, end: datetime, max_cloud_pct: float = 100.0
    ) -> list[Scene]:
        """List the scenes that touch a footprint; see `ImageSource.list_scenes`."""
        longitude = float(np.mean(footprint.longitudes))
        latitude = float(np.mean(footprint.latitudes))
        high = np.ptp(footprint.latitudes) / 2
        wide = np.ptp(footprint.longitudes) / 2 * np.cos(np.radians(latitude))
        half_m = float(max(high, wide)) * LONGITUDE_DEGREE_M + SEARCH_MARGIN_M
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
        acquisition = find(self._seed, scene.image_id)
        with self._limiter.request():
            ground = self._ground(grid)
            conditions = self._conditions(acquisition)
            state = scene_state(ground, conditions)
            seen = view(conditions.key, conditions.day, ground.frame.grown(-MARGIN_PX))
            tile = np.stack([_layer(ground, conditions, state, seen, name) for name in bands])
        missing = nodata(acquisition.tile, acquisition.orbit, grid)
        if missing is not None:
            tile[:, missing] = 0
        return tile

    def read_cloud_score(self, scene: Scene, grid: Grid) -> NDArray[np.float32]:
        """Read the cloud score of a scene; see `CloudScoreSource.read_cloud_score`."""
        _check(scene, grid)
        acquisition = find(self._seed, scene.image_id)
        with self._limiter.request():
            state = scene_state(self._ground(grid), self._conditions(acquisition))
            score = cloud_score(state)
        missing = nodata(acquisition.tile, acquisition.orbit, grid)
        if missing is not None:
            score[missing] = 0
        return score

    def truth(self, grid: Grid, early: Period, late: Period) -> Truth:
        """Return the permanent change between the middles of two periods; see `TruthSource`."""
        first, last = self._covers(grid, early, late)
        counts = np.bincount(first.ravel(), minlength=len(Cover))
        cover = Cover(int(counts.argmax())).name.lower()
        mask = encode_mask(kinds_of_change(first, last)) if self._truth_masks else None
        return Truth(float(np.mean(first != last)), cover, mask)

    def change_mask(self, grid: Grid, early: Period, late: Period) -> NDArray[np.uint8]:
        """Return the kind of permanent change of each pixel between the middles of two periods.

        Returns
        -------
        ndarray of uint8, shape (H, W)
            `ChangeKind`; 0 where nothing changed.
        """
        return kinds_of_change(*self._covers(grid, early, late))

    def _covers(
        self, grid: Grid, early: Period, late: Period
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Return the land cover in the middle of both periods, (H, W) each."""
        ground = self._ground(grid)
        inner = slice(MARGIN_PX, -MARGIN_PX)
        first, last = (
            ground.surface_on(_days(period.start + (period.end - period.start) / 2)).cover
            for period in (early, late)
        )
        return first[inner, inner], last[inner, inner]

    def _conditions(self, acquisition: Acquisition) -> Conditions:
        scene = acquisition.scene
        day = int(_days(scene.acquired))
        # All tiles of a pass share its weather.
        key = derive_seed(self._seed, scene.epsg, day)
        return Conditions(
            key,
            day,
            latitude=centre(acquisition.tile)[1],
            cloud_cover=scene.cloud_pct / 100,
            orbit_side=swath_side(acquisition.tile, acquisition.orbit),
            baseline=scene.baseline,
        )

    def _ground(self, grid: Grid) -> Ground:
        with self._lock:
            if grid in self._grounds:
                self._grounds.move_to_end(grid)
                return self._grounds[grid]
        ground = make_ground(grid, self._seed)
        with self._lock:
            self._grounds[grid] = ground
            if len(self._grounds) > CACHED_GROUNDS:
                self._grounds.popitem(last=False)
        return ground


def _layer(
    ground: Ground, conditions: Conditions, state: SceneState, seen: View, name: str
) -> NDArray[np.uint16]:
    if name == SCL_BAND:
        return scene_classes(ground, conditions, state)
    return band(ground, conditions, state, seen, name)


def _check(scene: Scene, grid: Grid) -> None:
    """Reject grids that are not on the archive's pixels."""
    if grid.epsg != scene.epsg:
        raise PermanentError(f"The scene is in EPSG:{scene.epsg}", scene.image_id)
    block = SNAP_M // PIXEL_M
    north = grid.top_m - int(false_northing_m(grid.epsg))
    if grid.left_m % SNAP_M or north % SNAP_M or grid.width_px % block or grid.height_px % block:
        raise PermanentError(f"The grid is not on the {SNAP_M} m lattice", str(grid))


def _days(when: datetime) -> float:
    """Return the days from `EPOCH`."""
    return (when - EPOCH).total_seconds() / 86_400
