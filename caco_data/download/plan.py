"""Scene selection: pure functions from a catalogue listing to a plan (paper, section 3.3).

Each location has an early period starting at t1 and a late period `gap_years` later, each cut into
five slots. Early and late slots cover the same days of the year, so that the two stacks are
seasonally aligned. Within a slot the scenes that cover the patch are tried in order of cloud cover.
"""

from __future__ import annotations

from calendar import isleap
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta

import numpy as np
import shapely
from numpy.typing import NDArray

from caco_data.download.settings import SceneSettings
from caco_data.grid import grid_footprint, unwrap
from caco_data.types import (
    PERIODS,
    TILES,
    Footprint,
    Grid,
    Location,
    Period,
    PeriodPlan,
    Plan,
    Rejection,
    Scene,
    Slot,
)

#: Length of a period.
PERIOD_DAYS = 365
#: Second word of the random generator's key: makes its numbers differ from those of the sampler.
_START_STREAM = 0x5CE9E5


def periods(location_id: int, settings: SceneSettings) -> tuple[Period, Period]:
    """Early and late period of a location.

    t1 is uniform over the days of `first_start`..`last_start` and depends on the seed and the
    location's id only; t2 is the same calendar day `gap_years` later (28 February for the 29th).
    """
    days = (settings.last_start - settings.first_start).days + 1
    bits = np.random.Philox(key=[settings.seed, _START_STREAM], counter=[location_id, 0, 0, 0])
    t1 = settings.first_start + timedelta(int(np.random.Generator(bits).integers(days)))
    year = t1.year + settings.gap_years
    day = 28 if (t1.month, t1.day) == (2, 29) and not isleap(year) else t1.day
    t2 = t1.replace(year=year, day=day)
    early, late = (
        Period(name, start, start + timedelta(days=PERIOD_DAYS))
        for name, start in zip(PERIODS, map(_midnight, (t1, t2)), strict=True)
    )
    return early, late


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def covers(footprints: Sequence[Footprint], patch: Footprint) -> NDArray[np.bool_]:
    """Whether each footprint, shape (N,), contains a whole patch, also across the antimeridian."""
    sizes = [len(footprint.longitudes) for footprint in footprints]
    if not sizes:
        return np.zeros(0, dtype=bool)
    lon, lat = (
        np.concatenate([getattr(footprint, name) for footprint in footprints])
        for name in ("longitudes", "latitudes")
    )
    # Every vertex is shifted to within 180 degrees of the patch. A scene spans far less than that,
    # so that a ring across the antimeridian remains connected.
    lon = unwrap(lon, patch.longitudes[0])
    rings = shapely.linearrings(lon, lat, indices=np.repeat(np.arange(len(sizes)), sizes))
    square = shapely.polygons(np.column_stack([patch.longitudes, patch.latitudes]))
    return np.asarray(shapely.contains_properly(shapely.polygons(rings), square))


def usable(scenes: Iterable[Scene], grid: Grid, settings: SceneSettings) -> list[Scene]:
    """Scenes that cover the patch in its UTM zone, in order of cloud cover, at most one per day.

    Two scenes of one day are neighbouring tiles of the same overpass and show the same pixels.
    """
    fit = [
        scene
        for scene in sorted(scenes, key=_cloud_order)
        if scene.epsg == grid.epsg and scene.cloud_pct <= settings.max_cloud_pct
    ]
    whole = covers([scene.footprint for scene in fit], grid_footprint(grid)).tolist()
    best: dict[date, Scene] = {}
    for scene, inside in zip(fit, whole, strict=True):
        if inside:
            best.setdefault(scene.acquired.date(), scene)
    return list(best.values())


def _cloud_order(scene: Scene) -> tuple[float, str]:
    return scene.cloud_pct, scene.image_id


def slots(period: Period, scenes: Sequence[Scene]) -> tuple[Slot, ...]:
    """Cut a period into `TILES` equal slots and assign usable scenes, in order of cloud cover."""
    step = (period.end - period.start) / TILES
    edges = [period.start + t * step for t in range(TILES + 1)]

    def between(first: int, last: int) -> tuple[Scene, ...]:
        start, end = edges[max(first, 0)], edges[min(last, TILES)]
        return tuple(scene for scene in scenes if start <= scene.acquired < end)

    return tuple(
        Slot(t, edges[t], edges[t + 1], between(t, t + 1), between(t - 1, t + 2))
        for t in range(TILES)
    )


def make_plan(
    location: Location,
    grid: Grid,
    early: tuple[Period, Sequence[Scene]],
    late: tuple[Period, Sequence[Scene]],
    settings: SceneSettings,
) -> Plan | Rejection:
    """Plan a location from its periods and the scenes that the catalogue lists in each.

    Returns
    -------
    Plan or Rejection
        A rejection when a slot and its neighbours have no usable scene; then no pixel is read.
    """
    plans = []
    for period, listing in (early, late):
        plan = PeriodPlan(period, slots(period, usable(listing, grid, settings)))
        for slot in plan.slots:
            if not slot.fallback:
                detail = (
                    f"{period.name} slot {slot.t}: none usable of the {len(listing)} scenes with "
                    f"at most {settings.max_cloud_pct:g} % clouds listed in "
                    f"{period.start:%Y-%m-%d}..{period.end:%Y-%m-%d}"
                )
                return Rejection(location.location_id, "too few scenes", detail)
        plans.append(plan)
    return Plan(location, grid, *plans)
