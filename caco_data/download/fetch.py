"""One location, from its point to its encoded stacks: what a worker does.

Knows nothing of Dask: a function of a location, settings and an opened source.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TypeVar

import numpy as np

from caco_data.dataset.shards import encode, write_shard
from caco_data.download.plan import make_plan, periods
from caco_data.download.settings import FetchSettings
from caco_data.download.stacks import clear_fraction, clear_fraction_by_score, fill_stack
from caco_data.errors import InputError, PermanentError, TransientError
from caco_data.grid import grid_footprint, patch_grid
from caco_data.sentinel2 import PIXEL_M, SCL_BAND, SCL_PIXEL_M
from caco_data.sources.base import CloudScoreSource, ImageSource, TruthSource
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
    Rejection,
    Scene,
    Stack,
    Tile,
)

T = TypeVar("T")


def scored(source: ImageSource, settings: FetchSettings) -> CloudScoreSource | None:
    """Give the source as one of Cloud Score+, when the settings want it.

    Raises
    ------
    InputError
        When the source has none.
    """
    if settings.scenes.cloud_mask != "cs+":
        return None
    if not isinstance(source, CloudScoreSource):
        raise InputError("This source has no Cloud Score+", "--cloud-mask", "Use 'scl'")
    return source


class Requests:
    """A source's requests for one location, with retries."""

    def __init__(
        self, source: ImageSource, settings: FetchSettings, policy: RetryPolicy, limiter: Limiter
    ) -> None:
        self._source = source
        self._scored = scored(source, settings)
        self._settings = settings
        self._policy = policy
        self._limiter = limiter
        self.unreadable = ""
        """The source's own words about the last scene that can never be read."""

    def _call(self, call: Callable[[], T]) -> T:
        return call_with_retries(call, self._policy, self._limiter)

    def scenes(self, footprint: Footprint, period: Period) -> list[Scene]:
        """List the scenes of a period."""
        most = self._settings.scenes.max_cloud_pct
        return self._call(
            lambda: self._source.list_scenes(footprint, period.start, period.end, most)
        )

    def tile(self, scene: Scene, grid: Grid) -> Tile | None:
        """Read bands and SCL of a scene in one request.

        Cloud Score+, where it is asked for, is read before: it is small, and spares the pixels of
        a cloudy scene. None when the scene is cloudy by it, or can never be read.
        """
        clear = self._clear_by_score(scene, grid)
        if clear is not None and clear < self._settings.scenes.min_clear:
            return None
        bands = (*self._settings.bands, SCL_BAND)
        try:
            pixels = self._call(lambda: self._source.read_tile(scene, grid, bands))
        except PermanentError as error:
            self.unreadable = str(error)
            return None
        self._limiter.count(Counts(nbytes=pixels.nbytes))
        step = SCL_PIXEL_M // PIXEL_M
        scl = pixels[-1, ::step, ::step].astype(np.uint8)
        if clear is None:
            return Tile(scene, pixels[:-1], scl, clear_fraction(scl), "scl")
        return Tile(scene, pixels[:-1], scl, clear, "cs+")

    def _clear_by_score(self, scene: Scene, grid: Grid) -> float | None:
        """Clear fraction by Cloud Score+; None where it is not asked for, or the scene has none."""
        source = self._scored
        if source is None:
            return None
        try:
            score = self._call(lambda: source.read_cloud_score(scene, grid))
        except PermanentError:
            return None
        self._limiter.count(Counts(nbytes=score.nbytes))
        return clear_fraction_by_score(score)


def get_stacks(
    location: Location, requests: Requests, settings: FetchSettings
) -> LocationStacks | Rejection:
    """List, plan and read a location.

    Raises
    ------
    PermanentError, TransientError
        When a listing fails for good.
    RefusedError
        When the service refuses the user.
    """
    grid = patch_grid(location)
    footprint = grid_footprint(grid)
    spans = periods(location.location_id, settings.scenes)
    listings = [(period, requests.scenes(footprint, period)) for period in spans]
    plan = make_plan(location, grid, listings, settings.scenes)
    if isinstance(plan, Rejection):
        return plan
    stacks: list[Stack] = []
    for period in spans:
        cut = [slot for slot in plan.slots if slot.period == period.name]
        stack = fill_stack(cut, lambda scene: requests.tile(scene, grid), settings.scenes)
        if isinstance(stack, str):
            if requests.unreadable:
                return Rejection(
                    location.location_id, "unreadable scenes", f"{stack}; {requests.unreadable}"
                )
            return Rejection(location.location_id, "too cloudy", stack)
        stacks.append(stack)
    return LocationStacks(location, grid, settings.bands, stacks[0], stacks[1])


def fetch_location(
    location: Location,
    source: ImageSource,
    settings: FetchSettings,
    policy: RetryPolicy,
    limiter: Limiter,
) -> Outcome:
    """Fetch and encode one location; whatever fails for good becomes its rejection.

    Raises
    ------
    RefusedError
        When the service refuses the user: the whole run must stop.
    """
    requests = Requests(source, settings, policy, limiter)
    try:
        result = get_stacks(location, requests, settings)
    except PermanentError as error:
        result = Rejection(location.location_id, "permanent error", str(error))
    except TransientError as error:
        result = Rejection(location.location_id, "retries used up", str(error))
    if isinstance(result, Rejection):
        return Outcome(location.location_id, None, result, None)
    limiter.count(Counts(tiles=len(result.early.tiles) + len(result.late.tiles)))
    buffer = io.BytesIO()
    write_shard(buffer, "", [encode(result, settings.dtype, settings.compress)])
    truth = None
    if isinstance(source, TruthSource):
        truth = source.truth(result.grid, *periods(location.location_id, settings.scenes))
    return Outcome(location.location_id, buffer.getvalue(), None, truth)
