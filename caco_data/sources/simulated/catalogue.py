"""The scenes of the archive: one per tile and pass, with attributes determined by the seed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache

import numpy as np

from caco_data.errors import PermanentError
from caco_data.grid import unwrap
from caco_data.sources.simulated.climate import cloud_pct
from caco_data.sources.simulated.noise import uniform
from caco_data.sources.simulated.swath import (
    REVISIT_DAYS,
    footprint,
    orbit_longitude,
    orbit_phase,
    orbits_over,
)
from caco_data.sources.simulated.tiling import (
    LATITUDE_MAX,
    MgrsTile,
    centre,
    mgrs_name,
    tile_named,
    tiles_over,
)
from caco_data.types import Footprint, Scene
from caco_data.world.geodesy import LONGITUDE_DEGREE_M

#: Days are counted from here.
EPOCH = datetime(2015, 7, 1, tzinfo=UTC)
#: Mean solar time at the descending node, hours; speed along the ground track, metres per second.
NODE_HOUR, TRACK_SPEED_M_S = 10.5, 6400
#: Minimum and range of the second time in a scene's name, seconds after the acquisition.
NAME_DELAY_S, NAME_DELAY_RANGE_S = 7, 20
#: Format of times in a scene's name.
_STAMP = "%Y%m%dT%H%M%S"

#: First day and number of each processing baseline (Copernicus, "Processing baseline").
BASELINES = (
    (datetime(2015, 7, 1, tzinfo=UTC), "02.11"),
    (datetime(2020, 2, 4, tzinfo=UTC), "02.14"),
    (datetime(2021, 3, 30, tzinfo=UTC), "03.00"),
    (datetime(2022, 1, 25, tzinfo=UTC), "04.00"),
    (datetime(2022, 12, 6, tzinfo=UTC), "05.09"),
    (datetime(2023, 12, 13, tzinfo=UTC), "05.10"),
    (datetime(2024, 7, 23, tzinfo=UTC), "05.11"),
)


def scenes_over(
    seed: int, longitude: float, latitude: float, half_m: float, start: datetime, end: datetime
) -> Iterator[Scene]:
    """List the scenes that may touch a square of side `2 * half_m` around a point."""
    if abs(latitude) > LATITUDE_MAX:
        return
    passes = (
        (tile, orbit)
        for tile in tiles_over(longitude, latitude, half_m)
        for orbit in orbits_over(tile)
    )
    for tile, orbit in passes:
        for year in range(start.year, end.year + 1):
            scenes = _scenes(seed, tile, orbit, year)
            yield from (scene for scene in scenes if start <= scene.acquired < end)


@lru_cache(maxsize=4096)
def _scenes(seed: int, tile: MgrsTile, orbit: int, year: int) -> tuple[Scene, ...]:
    """Return the scenes of a tile that an orbit acquires in a year."""
    outline = footprint(tile, orbit)
    first = (datetime(year, 1, 1, tzinfo=UTC) - EPOCH).days
    end = (datetime(year + 1, 1, 1, tzinfo=UTC) - EPOCH).days
    first = max(first, 0)
    days = np.arange(first + (orbit_phase(orbit) - first) % REVISIT_DAYS, end, REVISIT_DAYS)
    if outline is None or not days.size:
        return ()
    longitude, latitude = centre(tile)
    hours = (NODE_HOUR - orbit_longitude(orbit) / 15.0) % 24.0
    after_node_s = -latitude * LONGITUDE_DEGREE_M / TRACK_SPEED_M_S
    overpass = timedelta(seconds=round(hours * 3600 + after_node_s) % 86_400)
    cloudiness = cloud_pct(seed, longitude, latitude, days).tolist()
    delays = NAME_DELAY_S + uniform(seed, days, orbit) * NAME_DELAY_RANGE_S
    scenes = []
    for day, cloudy, delay in zip(
        days.tolist(), cloudiness, delays.astype(int).tolist(), strict=True
    ):
        acquired = EPOCH + timedelta(days=day) + overpass
        sensed = acquired - timedelta(seconds=acquired.second % 30)
        name = (
            f"{sensed:{_STAMP}}_{acquired + timedelta(seconds=delay):{_STAMP}}_T{mgrs_name(tile)}"
        )
        scenes.append(Scene(name, acquired, cloudy, tile.epsg, outline, _baseline(acquired)))
    return tuple(scenes)


def _baseline(acquired: datetime) -> str:
    return [number for first, number in BASELINES if first <= acquired][-1]


@dataclass(frozen=True, slots=True)
class Acquisition:
    """A scene with its tile and relative orbit."""

    scene: Scene
    tile: MgrsTile
    orbit: int


@lru_cache(maxsize=4096)
def find(seed: int, image_id: str) -> Acquisition:
    """Find a scene by its image id.

    Raises
    ------
    PermanentError
        When the archive has no such scene.
    """
    match = re.fullmatch(r"(\d{4})\d{4}T\d{6}_\d{8}T\d{6}_T(\d\d[C-X][A-Z][A-V])", image_id)
    tile = tile_named(match[2]) if match else None
    if match and tile:
        year = int(match[1])
        pairs = ((o, scene) for o in orbits_over(tile) for scene in _scenes(seed, tile, o, year))
        for orbit, scene in pairs:
            if scene.image_id == image_id:
                return Acquisition(scene, tile, orbit)
    raise PermanentError("No such scene", image_id, "Use an id that this archive lists")


def touches(footprint: Footprint, patch: Footprint) -> bool:
    """Return whether the bounding boxes of two footprints intersect."""
    near = float(np.mean(patch.longitudes))
    longitudes = unwrap(footprint.longitudes, near)
    return bool(
        longitudes.min() <= max(patch.longitudes)
        and longitudes.max() >= min(patch.longitudes)
        and min(footprint.latitudes) <= max(patch.latitudes)
        and max(footprint.latitudes) >= min(patch.latitudes)
    )
