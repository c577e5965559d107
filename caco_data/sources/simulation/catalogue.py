"""Which scenes there are: MGRS-like tiles, orbits that come back, footprints cut by the swath.

Imitates the constellation of Sentinel-2A and B: every relative orbit is flown each fifth day, and
neighbouring swaths overlap more the further from the equator. All of it follows from the seed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from caco_data.errors import PermanentError
from caco_data.grid import false_northing_m, to_lonlat, to_utm, unwrap
from caco_data.types import Footprint, Grid, Scene

from .noise import uniform
from .weather import scene_cloud_pct

TILE_M = 109_800
SQUARE_M = 100_000
SNAP_M = 60
#: Sentinel-2 flies to 84 degrees; the products used here end a little before.
LATITUDE_MAX = 83.0

ORBITS = 143
REVISIT_DAYS = 5
#: Half of the 290 km swath.
HALF_SWATH_M = 145_000
METRES_A_DEGREE = 111_320.0
#: Degrees of longitude by which a descending track moves west for a degree of latitude southwards.
TRACK_SLOPE = 0.22

EPOCH = datetime(2015, 7, 1, tzinfo=UTC)
_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ"
_BANDS = "CDEFGHJKLMNPQRSTUVWX"

#: First day and number of the processing baselines (Copernicus, "Processing baseline").
BASELINES = (
    (datetime(2015, 7, 1, tzinfo=UTC), "02.11"),
    (datetime(2020, 2, 4, tzinfo=UTC), "02.14"),
    (datetime(2021, 3, 30, tzinfo=UTC), "03.00"),
    (datetime(2022, 1, 25, tzinfo=UTC), "04.00"),
    (datetime(2022, 12, 6, tzinfo=UTC), "05.09"),
    (datetime(2023, 12, 13, tzinfo=UTC), "05.10"),
    (datetime(2024, 7, 23, tzinfo=UTC), "05.11"),
)


@dataclass(frozen=True, slots=True)
class MgrsTile:
    """A square of the tiling in one UTM zone."""

    epsg: int
    column: int
    """100 km column: easting of the left edge / 100 km."""
    row: int
    """100 km row: distance of the upper edge from the equator / 100 km, negative south of it."""

    @property
    def left_m(self) -> int:
        """Easting of the left edge: on the 60 m lattice, at or before the 100 km line."""
        return self.column * SQUARE_M // SNAP_M * SNAP_M

    @property
    def top_m(self) -> int:
        """Northing of the upper edge: on the 60 m lattice from the equator."""
        return -(-self.row * SQUARE_M // SNAP_M) * SNAP_M + int(false_northing_m(self.epsg))

    @property
    def name(self) -> str:
        """MGRS name, `31TCF`."""
        zone = self.epsg % 100
        latitude = float(self.centre[1])
        band = _BANDS[int(np.clip((latitude + 80) // 8, 0, len(_BANDS) - 1))]
        column = _LETTERS[(zone - 1) % 3 * 8 + (self.column - 1) % 8]
        row = _LETTERS[:20][(self.row - 1 + 5 * (1 - zone % 2)) % 20]
        return f"{zone:02d}{band}{column}{row}"

    @property
    def centre(self) -> tuple[float, float]:
        """Longitude and latitude of the middle, degrees."""
        half = TILE_M / 2
        longitude, latitude = to_lonlat(self.left_m + half, self.top_m - half, self.epsg)
        return float(longitude), float(latitude)


@lru_cache(maxsize=4096)
def outline(tile: MgrsTile) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Longitudes and latitudes of a tile's corners, degrees, continuous."""
    x = tile.left_m + np.array([0, TILE_M, TILE_M, 0])
    y = tile.top_m - np.array([0, 0, TILE_M, TILE_M])
    longitude, latitude = to_lonlat(x, y, tile.epsg)
    return unwrap(longitude, longitude[0]), latitude


def tiles_over(longitude: float, latitude: float, half_m: float) -> list[MgrsTile]:
    """Tiles that touch the square of `2 * half_m` around a point, in its zone and its neighbours.

    A tile belongs to a zone when its middle lies within the zone's six degrees or a little beyond.
    """
    zone = int((longitude + 180.0) // 6) % 60 + 1
    found = []
    for hemisphere in {600 if latitude >= 0 else 700}:
        for z in ((zone - 2) % 60 + 1, zone, zone % 60 + 1):
            epsg = 32000 + hemisphere + z
            easting, northing = to_utm(longitude, latitude, epsg)
            north = float(northing) - int(false_northing_m(epsg))
            columns = _touched(float(easting) - half_m, float(easting) + half_m)
            rows = _touched(-north - half_m, -north + half_m)
            for column in columns:
                for row in rows:
                    tile = MgrsTile(epsg, column, -row)
                    centre = tile.centre
                    middle = 6.0 * z - 183.0
                    reach = 3.0 + 0.55 * SQUARE_M / (
                        METRES_A_DEGREE * np.cos(np.radians(centre[1]))
                    )
                    if 1 <= column <= 8 and abs(float(unwrap(centre[0], middle)) - middle) <= reach:
                        found.append(tile)
    return found


def _touched(low: float, high: float) -> range:
    """100 km lines at which the tiles begin that touch an interval."""
    first = int((low - TILE_M) // SQUARE_M) + 1
    return range(first, int(high // SQUARE_M) + 1)


def swath_edges(orbit: int, latitude: float) -> tuple[float, float]:
    """Longitudes, at the equator, between which an orbit sees a tile at a latitude.

    Compare with `along_track`; the width is constant over a tile.
    """
    half = HALF_SWATH_M / (METRES_A_DEGREE * float(np.cos(np.radians(latitude))))
    middle = orbit * 360.0 / ORBITS - 180.0
    return middle - half, middle + half


def along_track(
    longitude: NDArray[np.float64], latitude: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Longitude at which a point's parallel to the ground tracks crosses the equator, degrees."""
    return np.asarray(longitude - TRACK_SLOPE * latitude)


def orbits_over(tile: MgrsTile) -> list[int]:
    """Relative orbits whose swath touches a tile."""
    longitudes, latitudes = outline(tile)
    across = along_track(longitudes, latitudes)
    west, east = swath_edges(0, tile.centre[1])
    low, high = across.min() - (east - west) / 2, across.max() + (east - west) / 2
    step = 360.0 / ORBITS
    first, last = int(np.ceil((low + 180) / step)), int(np.floor((high + 180) / step))
    return [k % ORBITS for k in range(first, last + 1)]


@lru_cache(maxsize=8192)
def footprint(tile: MgrsTile, orbit: int) -> Footprint | None:
    """What an orbit sees of a tile; None for nothing worth a product."""
    lons, lats = outline(tile)
    ring = list(zip(lons.tolist(), lats.tolist(), strict=True))
    west, east = (float(e) for e in _edges_near(tile, orbit))
    for edge, sign in ((west, 1.0), (east, -1.0)):
        ring = _clip(ring, edge, sign)
    if len(ring) < 3 or _area(ring) < 0.02 * _area(list(zip(lons, lats, strict=True))):
        return None
    return Footprint(tuple(p[0] for p in ring), tuple(p[1] for p in ring))


def _edges_near(tile: MgrsTile, orbit: int) -> NDArray[np.float64]:
    longitude, latitude = tile.centre
    edges = np.array(swath_edges(orbit, latitude))
    middle = edges.mean()
    return edges - middle + float(unwrap(middle, longitude - TRACK_SLOPE * latitude))


def _clip(ring: list[tuple[float, float]], edge: float, sign: float) -> list[tuple[float, float]]:
    """Part of a ring on the positive side of a swath edge (Sutherland and Hodgman)."""
    result = []
    for k, here in enumerate(ring):
        before = ring[k - 1]
        a = sign * (before[0] - TRACK_SLOPE * before[1] - edge)
        b = sign * (here[0] - TRACK_SLOPE * here[1] - edge)
        if (a < 0) != (b < 0):
            f = a / (a - b)
            result.append(
                (before[0] + f * (here[0] - before[0]), before[1] + f * (here[1] - before[1]))
            )
        if b >= 0:
            result.append(here)
    return result


def _area(ring: list[tuple[float, float]]) -> float:
    x, y = np.array(ring).T
    return abs(float(np.sum(x * np.roll(y, 1) - y * np.roll(x, 1)))) / 2


def scenes_over(
    seed: int, longitude: float, latitude: float, half_m: float, start: datetime, end: datetime
) -> Iterator[Scene]:
    """List the scenes that may touch the square of `2 * half_m` around a point."""
    if abs(latitude) > LATITUDE_MAX:
        return
    first_day = (start - EPOCH).days - 1
    last_day = (end - EPOCH).days + 1
    for tile in tiles_over(longitude, latitude, half_m):
        for orbit in orbits_over(tile):
            seen = footprint(tile, orbit)
            if seen is None:
                continue
            phase = orbit_phase(orbit)
            begin = first_day + (phase - first_day) % REVISIT_DAYS
            for day in range(max(begin, phase), last_day + 1, REVISIT_DAYS):
                scene = _scene(seed, tile, orbit, day, seen)
                if start <= scene.acquired < end:
                    yield scene


def orbit_phase(orbit: int) -> int:
    """Day of the five on which an orbit is flown; different for orbits that see the same tile."""
    return orbit * 2 % REVISIT_DAYS


@lru_cache(maxsize=65536)
def _scene(seed: int, tile: MgrsTile, orbit: int, day: int, seen: Footprint) -> Scene:
    longitude, latitude = tile.centre
    # 10:30 mean solar time at the node; a descending pass runs 6.4 km/s southwards.
    hours = (10.5 - (orbit * 360.0 / ORBITS - 180.0) / 15.0) % 24.0
    seconds = round(hours * 3600 - latitude * METRES_A_DEGREE / 6400)
    acquired = EPOCH + timedelta(days=day, seconds=seconds)
    sensed = acquired - timedelta(seconds=acquired.second % 30)
    made = acquired + timedelta(seconds=7 + int(uniform(seed, day, orbit) * 20))
    baseline = [number for first, number in BASELINES if first <= acquired][-1]
    return Scene(
        f"{sensed:%Y%m%dT%H%M%S}_{made:%Y%m%dT%H%M%S}_T{tile.name}",
        acquired,
        round(scene_cloud_pct(seed, longitude, latitude, day), 6),
        tile.epsg,
        seen,
        baseline,
    )


@lru_cache(maxsize=65536)
def _tile_named(name: str, epsg: int, longitude: float, latitude: float) -> MgrsTile:
    for tile in tiles_over(longitude, latitude, 1000.0):
        if tile.epsg == epsg and tile.name == name:
            return tile
    raise PermanentError("No such scene", name, "List the scenes of this archive")


def tile_of(scene: Scene) -> MgrsTile:
    """Tile of a scene.

    Raises
    ------
    PermanentError
        When the scene is not one of this archive's.
    """
    place = scene.footprint
    return _tile_named(scene.image_id[-5:], scene.epsg, place.longitudes[0], place.latitudes[0])


def touches(footprint: Footprint, patch: Footprint) -> bool:
    """Whether two footprints' bounding boxes meet."""
    near = float(np.mean(patch.longitudes))
    longitudes = unwrap(footprint.longitudes, near)
    return bool(
        longitudes.min() <= max(patch.longitudes)
        and longitudes.max() >= min(patch.longitudes)
        and min(footprint.latitudes) <= max(patch.latitudes)
        and max(footprint.latitudes) >= min(patch.latitudes)
    )


def nodata(scene: Scene, grid: Grid) -> NDArray[np.bool_] | None:
    """Pixels of a grid that a scene does not show, (H, W); None when it shows all."""
    tile = tile_of(scene)
    rows = np.arange(grid.height_px)
    columns = np.arange(grid.width_px)
    north = grid.top_m - (rows + 0.5) * grid.pixel_m
    east = grid.left_m + (columns + 0.5) * grid.pixel_m
    outside = ((north > tile.top_m) | (north < tile.top_m - TILE_M))[:, None] | (
        (east < tile.left_m) | (east > tile.left_m + TILE_M)
    )[None, :]
    day = (scene.acquired - EPOCH).days
    orbit = next(
        k for k in orbits_over(tile)
        if orbit_phase(k) == day % REVISIT_DAYS and footprint(tile, k) == scene.footprint
    )  # fmt: skip
    west, limit = _edges_near(tile, orbit)
    corners = to_lonlat(east[[0, -1, 0, -1]], north[[0, 0, -1, -1]], grid.epsg)
    if not _off_swath(*corners, west + 0.01, limit - 0.01, tile).any():
        return outside if outside.any() else None
    x, y = np.meshgrid(east, north)
    return outside | _off_swath(*to_lonlat(x, y, grid.epsg), west, limit, tile)


def _off_swath(
    longitude: NDArray[np.float64], latitude: NDArray[np.float64],
    west: float, east: float, tile: MgrsTile,
) -> NDArray[np.bool_]:  # fmt: skip
    across = along_track(unwrap(longitude, tile.centre[0]), latitude)
    return np.asarray((across < west) | (across > east))
