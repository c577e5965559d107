"""Fetching of one location: scenes, plan, tiles, encoded stacks.

Independent of Dask: a function of a location, settings and an opened source.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TypeVar

import numpy as np

from caco_data.dataset.shards import encode, write_shard
from caco_data.download.plan import make_plan, periods
from caco_data.download.settings import FetchSettings
from caco_data.download.stacks import (
    Cloudy,
    Unreadable,
    clear_fraction,
    clear_fraction_by_score,
    fill_stack,
)
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
    Plan,
    Rejection,
    Scene,
    Tile,
)

T = TypeVar("T")


def cloud_score_source(source: ImageSource, settings: FetchSettings) -> CloudScoreSource | None:
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
    """Requests to a source, with retries and counts."""

    def __init__(
        self, source: ImageSource, settings: FetchSettings, policy: RetryPolicy, limiter: Limiter
    ) -> None:
        self._source = source
        self._cloud_scores = cloud_score_source(source, settings)
        self._settings = settings
        self._policy = policy
        self._limiter = limiter

    def _call(self, call: Callable[[], T]) -> T:
        return call_with_retries(call, self._policy, self._limiter)

    def scenes(self, footprint: Footprint, period: Period) -> list[Scene]:
        """List the scenes of a period."""
        limit = self._settings.scenes.max_cloud_pct
        return self._call(
            lambda: self._source.list_scenes(footprint, period.start, period.end, limit)
        )

    def tile(self, scene: Scene, grid: Grid) -> Tile | Cloudy | Unreadable:
        """Read bands and SCL of a scene in one request.

        If the settings use Cloud Score+, it is read first: it is small, and the bands of a cloudy
        scene need not be read.
        """
        clear = self._clear_by_score(scene, grid)
        if clear is not None and clear < self._settings.scenes.min_clear:
            return Cloudy(clear)
        bands = (*self._settings.bands, SCL_BAND)
        try:
            pixels = self._call(lambda: self._source.read_tile(scene, grid, bands))
        except PermanentError as error:
            return Unreadable(str(error))
        self._limiter.count(Counts(nbytes=pixels.nbytes))
        step = SCL_PIXEL_M // PIXEL_M
        scl = pixels[-1, ::step, ::step].astype(np.uint8)
        if clear is None:
            return Tile(scene, pixels[:-1], scl, clear_fraction(scl), "scl")
        return Tile(scene, pixels[:-1], scl, clear, "cs+")

    def _clear_by_score(self, scene: Scene, grid: Grid) -> float | None:
        """Clear fraction by Cloud Score+; None when it is not used or the scene has none."""
        source = self._cloud_scores
        if source is None:
            return None
        try:
            score = self._call(lambda: source.read_cloud_score(scene, grid))
        except PermanentError:
            return None
        self._limiter.count(Counts(nbytes=score.nbytes))
        return clear_fraction_by_score(score)


def plan_location(
    location: Location, requests: Requests, settings: FetchSettings
) -> Plan | Rejection:
    """List the scenes of both periods of a location, and plan its stacks.

    Raises
    ------
    PermanentError, TransientError
        When a listing fails permanently or after all retries.
    RefusedError
        When the service refuses the user.
    """
    grid = patch_grid(location)
    footprint = grid_footprint(grid)
    early, late = (
        (period, requests.scenes(footprint, period))
        for period in periods(location.location_id, settings.scenes)
    )
    return make_plan(location, grid, early, late, settings.scenes)


def read_stacks(
    plan: Plan, requests: Requests, settings: FetchSettings
) -> LocationStacks | Rejection:
    """Read the tiles of a plan.

    Raises
    ------
    TransientError
        When a tile cannot be read after all retries.
    RefusedError
        When the service refuses the user.
    """
    stacks = []
    for part in (plan.early, plan.late):
        stack = fill_stack(
            plan.location.location_id,
            part,
            lambda scene: requests.tile(scene, plan.grid),
            settings.scenes,
        )
        if isinstance(stack, Rejection):
            return stack
        stacks.append(stack)
    return LocationStacks(plan.location, plan.grid, settings.bands, *stacks)


def fetch_location(
    location: Location,
    source: ImageSource,
    settings: FetchSettings,
    policy: RetryPolicy,
    limiter: Limiter,
) -> Outcome:
    """Fetch and encode one location; a permanent failure becomes its rejection.

    Raises
    ------
    RefusedError
        When the service refuses the user: the whole run must stop.
    """
    requests = Requests(source, settings, policy, limiter)
    try:
        plan = plan_location(location, requests, settings)
        if isinstance(plan, Rejection):
            return _rejected(plan)
        stacks = read_stacks(plan, requests, settings)
    except PermanentError as error:
        return _rejected(Rejection(location.location_id, "permanent error", str(error)))
    except TransientError as error:
        return _rejected(Rejection(location.location_id, "retries used up", str(error)))
    if isinstance(stacks, Rejection):
        return _rejected(stacks)
    limiter.count(Counts(tiles=len(stacks.early.tiles) + len(stacks.late.tiles)))
    buffer = io.BytesIO()
    write_shard(buffer, "", [encode(stacks, settings.dtype, settings.compress)])
    truth = None
    if isinstance(source, TruthSource):
        truth = source.truth(plan.grid, plan.early.period, plan.late.period)
    return Outcome(location.location_id, buffer.getvalue(), None, truth)


def _rejected(rejection: Rejection) -> Outcome:
    return Outcome(rejection.location_id, None, rejection, None)
