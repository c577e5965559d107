"""Fetching of one location: scenes, plan, tiles, encoded stacks.

Independent of Dask: a function of a location, settings and an opened source.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from caco_data.dataset.shards import encode, write_shard
from caco_data.download.breaker import Breaker
from caco_data.download.periods import periods
from caco_data.download.plan import make_plan
from caco_data.download.settings import FetchSettings
from caco_data.download.stacks import (
    Cloudy,
    Unreadable,
    clear_fraction,
    clear_fraction_by_score,
    fill_stack,
)
from caco_data.errors import InconsistentError, InputError, PermanentError, TransientError
from caco_data.grid import grid_footprint, patch_grid
from caco_data.sentinel2 import PIXEL_M, SCL_BAND, SCL_PIXEL_M
from caco_data.sources.base import (
    CloudScoreSource,
    ImageSource,
    PlannedSource,
    SceneClassSource,
    TruthSource,
)
from caco_data.sources.limiter import Limiter
from caco_data.sources.retry import RetryPolicy, call_with_retries
from caco_data.sources.tally import Counts
from caco_data.types import (
    Footprint,
    Grid,
    Location,
    LocationStacks,
    Outcome,
    Period,
    Plan,
    Rejection,
    Scene,
    Tile,
)

T = TypeVar("T")

#: Encoding needs the processor and several copies of a location: two threads at a time suffice.
_ENCODING = threading.BoundedSemaphore(2)


def _cloud_score_source(source: ImageSource, settings: FetchSettings) -> CloudScoreSource | None:
    """Return the source if the settings use its Cloud Score+, else None.

    Raises
    ------
    InputError
        When the settings use Cloud Score+ and the source does not provide it.
    """
    if settings.scenes.cloud_mask != "cs+":
        return None
    if not isinstance(source, CloudScoreSource):
        raise InputError("This source has no Cloud Score+", "--cloud-mask", "Use 'scl'")
    return source


class Requests:
    """Requests of one process to a source, with retries, counts and confirmation of failures.

    Parameters
    ----------
    source : ImageSource
        The opened source.
    settings : FetchSettings
        Scenes, bands and format.
    policy : RetryPolicy
        Retries of transient failures.
    limiter : Limiter
        Limits and counts the requests.
    known_tile : tuple of Scene and Grid, optional
        A tile that can be read; see `Breaker`.

    Raises
    ------
    InputError
        When the settings use Cloud Score+ and the source does not provide it.
    """

    def __init__(
        self,
        source: ImageSource,
        settings: FetchSettings,
        policy: RetryPolicy,
        limiter: Limiter,
        known_tile: tuple[Scene, Grid] | None = None,
    ) -> None:
        self.source = source
        self.settings = settings
        self.limiter = limiter
        self._cloud_scores = _cloud_score_source(source, settings)
        self._policy = policy
        self._listings = Breaker()
        self._tiles = Breaker(known_tile and partial(self.read, *known_tile))
        self._known_good = known_tile and partial(self._read_once, *known_tile)

    def _call(self, call: Callable[[], T]) -> T:
        return call_with_retries(call, self._policy, self.limiter, self._known_good)

    def scenes(self, footprint: Footprint, period: Period) -> list[Scene]:
        """List the scenes of a period."""
        limit = self.settings.scenes.max_cloud_pct
        request = partial(self.source.list_scenes, footprint, period.start, period.end, limit)
        return self._listings.call(lambda: self._call(request))

    def expecting(self, tiles: Iterable[tuple[Scene, Grid]]) -> AbstractContextManager[None]:
        """Announce tiles that are likely to be read; see `PlannedSource`."""
        if not isinstance(self.source, PlannedSource):
            return nullcontext()
        return self.source.expecting(tiles, (*self.settings.bands, SCL_BAND))

    def read(self, scene: Scene, grid: Grid) -> NDArray[np.uint16]:
        """Read bands and SCL of a scene, (C + 1, H, W); a failure is not confirmed."""
        read = partial(self._read_once, scene, grid)
        pixels = self._call(read)
        self._known_good = read
        return pixels

    def _read_once(self, scene: Scene, grid: Grid) -> NDArray[np.uint16]:
        pixels = self.source.read_tile(scene, grid, (*self.settings.bands, SCL_BAND))
        self.limiter.count(Counts(nbytes=pixels.nbytes))
        return pixels

    def tile(self, scene: Scene, grid: Grid) -> Tile | Cloudy | Unreadable:
        """Read bands and SCL of a scene.

        If the settings use Cloud Score+, it is read first: it is small, and the bands of a cloudy
        scene need not be read. Likewise the scene classes, if the source reads them alone.
        """
        clear = self._clear_by_score(scene, grid)
        if clear is not None and clear < self.settings.scenes.min_clear:
            return Cloudy(clear)
        try:
            with self.expecting([(scene, grid)]):
                if clear is None and (refused := self._refused_by_classes(scene, grid)):
                    return refused
                pixels = self._tiles.call(lambda: self.read(scene, grid))
        except InconsistentError as error:
            return Unreadable(str(error), "inconsistent scenes")
        except PermanentError as error:
            return Unreadable(str(error))
        step = SCL_PIXEL_M // PIXEL_M
        scl = pixels[-1, ::step, ::step].astype(np.uint8)
        if clear is None:
            return Tile(scene, pixels[:-1], scl, clear_fraction(scl), "scl")
        return Tile(scene, pixels[:-1], scl, clear, "cs+")

    def _refused_by_classes(self, scene: Scene, grid: Grid) -> Cloudy | None:
        """Read the scene classes first, if the source can; None when the bands are to be read."""
        source = self.source
        if not isinstance(source, SceneClassSource):
            return None
        scl = self._tiles.call(lambda: self._call(lambda: source.read_scene_classes(scene, grid)))
        clear, nodata = clear_fraction(scl), bool((scl == 0).any())
        accepted = clear >= self.settings.scenes.min_clear and not nodata
        return None if accepted else Cloudy(clear, nodata)

    def _clear_by_score(self, scene: Scene, grid: Grid) -> float | None:
        """Clear fraction by Cloud Score+; None when it is not used or the scene has none."""
        source = self._cloud_scores
        if source is None:
            return None
        try:
            score = self._call(lambda: source.read_cloud_score(scene, grid))
        except PermanentError:
            return None
        self.limiter.count(Counts(nbytes=score.nbytes))
        return clear_fraction_by_score(score)


def plan_location(location: Location, requests: Requests) -> Plan | Rejection:
    """List the scenes of all periods of a location, and plan its stacks.

    Raises
    ------
    PermanentError, TransientError
        When a listing fails permanently or after all retries.
    RefusedError
        When the service refuses the user, or all listings.
    """
    settings = requests.settings.scenes
    grid = patch_grid(location, requests.settings.patch_px)
    footprint = grid_footprint(grid)
    listings = [
        (period, requests.scenes(footprint, period)) for period in periods(location, settings)
    ]
    return make_plan(location, grid, listings, settings)


def read_stacks(plan: Plan, requests: Requests) -> LocationStacks | Rejection:
    """Read the tiles of a plan.

    Raises
    ------
    TransientError
        When a tile cannot be read after all retries.
    RefusedError
        When the service refuses the user, or all tiles.
    """
    slots = [slot for part in plan.periods for slot in part.slots]
    first = [slot.candidates[0] for slot in slots if slot.candidates]
    with requests.expecting((scene, plan.grid) for scene in first):
        return _read_parts(plan, requests)


def _read_parts(plan: Plan, requests: Requests) -> LocationStacks | Rejection:
    stacks = []
    for part in plan.periods:
        stack = fill_stack(
            plan.location.location_id,
            part,
            lambda scene: requests.tile(scene, plan.grid),
            requests.settings.scenes,
        )
        if isinstance(stack, Rejection):
            return stack
        stacks.append(stack)
    return LocationStacks(plan.location, plan.grid, requests.settings.bands, tuple(stacks))


def fetch_location(location: Location, requests: Requests) -> Outcome:
    """Fetch and encode one location.

    A failed request is not a property of the location: the outcome is a failure, after which the
    location remains to be fetched.

    Raises
    ------
    RefusedError
        When the service refuses the user, or all requests: the whole run must stop.
    """
    try:
        plan = plan_location(location, requests)
        stacks = plan if isinstance(plan, Rejection) else read_stacks(plan, requests)
    except (PermanentError, TransientError) as error:
        return Outcome(location.location_id, failure=str(error))
    if isinstance(stacks, Rejection):
        return Outcome(location.location_id, rejection=stacks)
    requests.limiter.count(Counts(tiles=sum(len(stack.tiles) for stack in stacks.stacks)))
    settings, source = requests.settings, requests.source
    buffer = io.BytesIO()
    with _ENCODING:
        write_shard(buffer, "", [encode(stacks, settings.dtype, settings.compress)])
    truth = None
    if isinstance(source, TruthSource) and isinstance(plan, Plan):
        truth = source.truth(plan.grid, plan.periods[0].period, plan.periods[-1].period)
    return Outcome(location.location_id, part=buffer.getvalue(), truth=truth)
