"""Scene selection: pure functions from a catalogue listing to a plan (paper, section 3.3).

Each period of a location is cut into equal slots, by default five. The slots of periods that are
whole years apart cover the same days of the year, so that their stacks are seasonally aligned.
Within a slot the scenes that cover the patch are tried in order of cloud cover.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date

import numpy as np
import shapely
from numpy.typing import NDArray

from caco_data.download.periods import is_in_months, slot_edges
from caco_data.download.settings import SceneSettings
from caco_data.grid import grid_footprint, unwrap
from caco_data.types import (
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
        if scene.epsg == grid.epsg
        and scene.cloud_pct <= settings.max_cloud_pct
        and is_in_months(scene.acquired.date(), settings.months)
    ]
    whole = covers([scene.footprint for scene in fit], grid_footprint(grid)).tolist()
    best: dict[date, Scene] = {}
    for scene, inside in zip(fit, whole, strict=True):
        if inside:
            best.setdefault(scene.acquired.date(), scene)
    return list(best.values())


def _cloud_order(scene: Scene) -> tuple[float, str]:
    return scene.cloud_pct, scene.image_id


def slots(period: Period, scenes: Sequence[Scene], settings: SceneSettings) -> tuple[Slot, ...]:
    """Cut a period into equal slots and assign usable scenes, in order of cloud cover."""
    count = settings.tiles_per_period
    edges = slot_edges(period, settings)

    def between(first: int, last: int) -> tuple[Scene, ...]:
        start, end = edges[max(first, 0)], edges[min(last, count)]
        return tuple(scene for scene in scenes if start <= scene.acquired < end)

    return tuple(
        Slot(t, edges[t], edges[t + 1], between(t, t + 1), between(t - 1, t + 2))
        for t in range(count)
    )


def make_plan(
    location: Location,
    grid: Grid,
    listings: Sequence[tuple[Period, Sequence[Scene]]],
    settings: SceneSettings,
) -> Plan | Rejection:
    """Plan a location from its periods and the scenes that the catalogue lists in each.

    Returns
    -------
    Plan or Rejection
        A rejection when a slot and its neighbours have no usable scene; then no pixel is read.
    """
    plans = []
    for period, listing in listings:
        plan = PeriodPlan(period, slots(period, usable(listing, grid, settings), settings))
        for slot in plan.slots:
            if not slot.fallback:
                detail = (
                    f"{period.name} slot {slot.t}: none usable of the {len(listing)} scenes with "
                    f"at most {settings.max_cloud_pct:g} % clouds listed in "
                    f"{period.start:%Y-%m-%d}..{period.end:%Y-%m-%d}"
                )
                return Rejection(location.location_id, "too few scenes", detail)
        plans.append(plan)
    return Plan(location, grid, tuple(plans))
