"""Which scenes there are: MGRS-like tiles, orbits that come back, footprints cut by the swath.

Imitates the constellation of Sentinel-2A and B: every relative orbit is flown each fifth day, and
neighbouring swaths overlap more the further from the equator. All of it follows from the seed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from caco_data.errors import PermanentError
from caco_data.grid import (
    UTM_NORTH,
    UTM_SOUTH,
    false_northing_m,
    to_lonlat,
    to_utm,
    unwrap,
    utm_epsg,
)
from caco_data.sentinel2 import PIXEL_M
from caco_data.types import Footprint, Grid, Scene
from caco_data.world.geodesy import LATITUDE_DEGREE_MEAN_M, LONGITUDE_DEGREE_M

from .climate import cloud_pct
from .noise import uniform

TILE_M = 109_800
SQUARE_M = 100_000
SNAP_M = 60
#: Sentinel-2 flies to 84 degrees; the products used here end a little before.
LATITUDE_MAX = 83.0

ORBITS = 143
REVISIT_DAYS = 5
#: Half of the 290 km swath.
HALF_SWATH_M = 145_000
#: Degrees of longitude by which a descending track moves west for a degree of latitude southwards.
TRACK_SLOPE = 0.22

EPOCH = datetime(2015, 7, 1, tzinfo=UTC)
_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ"
_STAMP = "%Y%m%dT%H%M%S"
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


@lru_cache(maxsize=4096)
def centre(tile: MgrsTile) -> tuple[float, float]:
    """Longitude and latitude of a tile's middle, degrees."""
    half = TILE_M / 2
    longitude, latitude = to_lonlat(tile.left_m + half, tile.top_m - half, tile.epsg)
    return float(longitude), float(latitude)


@lru_cache(maxsize=4096)
def mgrs_name(tile: MgrsTile) -> str:
    """MGRS name of a tile, `31TCF`."""
    zone = tile.epsg % 100
    band = _BANDS[int(np.clip((centre(tile)[1] + 80) // 8, 0, len(_BANDS) - 1))]
    column = _LETTERS[(zone - 1) % 3 * 8 + (tile.column - 1) % 8]
    row = _LETTERS[:20][(tile.row - 1 + 5 * (1 - zone % 2)) % 20]
    return f"{zone:02d}{band}{column}{row}"


@lru_cache(maxsize=4096)
def outline(tile: MgrsTile) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Longitudes and latitudes of a tile's corners, degrees, continuous."""
    x = tile.left_m + np.array([0, TILE_M, TILE_M, 0])
    y = tile.top_m - np.array([0, 0, TILE_M, TILE_M])
    longitude, latitude = to_lonlat(x, y, tile.epsg)
    return unwrap(longitude, longitude[0]), latitude


def tiles_over(longitude: float, latitude: float, half_m: float) -> list[MgrsTile]:
    """Tiles that touch the square of `2 * half_m` around a point, in its zone and its neighbours.

    Every zone that comes near has its own tiles, so that near a border both zones' are listed.
    """
    near = TILE_M / LONGITUDE_DEGREE_M
    lon = longitude + np.array([-1, 0, 1]) * near / np.cos(np.radians(latitude))
    lat = np.clip(latitude + np.array([-1, 0, 1]) * near, -LATITUDE_MAX, LATITUDE_MAX)
    found = []
    for epsg in np.unique(utm_epsg(lon[:, None], lat[None, :])).tolist():
        easting, northing = to_utm(longitude, latitude, epsg)
        north = float(northing) - int(false_northing_m(epsg))
        for column in _touched(float(easting) - half_m, float(easting) + half_m):
            for row in _touched(-north - half_m, -north + half_m):
                tile = MgrsTile(epsg, column, -row)
                if _exists(tile):
                    found.append(tile)
    return found


@lru_cache(maxsize=8192)
def _exists(tile: MgrsTile) -> bool:
    """Whether some of a tile's 100 km square lies in its zone, with the exceptions of MGRS."""
    if not 1 <= tile.column <= 8:
        return False
    inside = np.array([0.01, 0.5, 0.99]) * SQUARE_M
    x = tile.column * SQUARE_M + inside
    y = tile.row * SQUARE_M - inside + int(false_northing_m(tile.epsg))
    longitude, latitude = to_lonlat(x[:, None], y[None, :], tile.epsg)
    return bool((utm_epsg(longitude, latitude) == tile.epsg).any())


def _touched(low: float, high: float) -> range:
    """100 km lines at which the tiles begin that touch an interval."""
    first = int((low - TILE_M) // SQUARE_M) + 1
    return range(first, int(high // SQUARE_M) + 1)


def swath_edges(orbit: int, latitude: float) -> tuple[float, float]:
    """Longitudes, at the equator, between which an orbit sees a tile at a latitude.

    Compare with `along_track`; the width is constant over a tile.
    """
    half = HALF_SWATH_M / (LONGITUDE_DEGREE_M * float(np.cos(np.radians(latitude))))
    middle = orbit * 360.0 / ORBITS - 180.0
    return middle - half, middle + half


def along_track(
    longitude: NDArray[np.float64], latitude: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Longitude at which a point's parallel to the ground tracks crosses the equator, degrees."""
    across: NDArray[np.float64] = longitude - TRACK_SLOPE * latitude
    return across


def orbits_over(tile: MgrsTile) -> list[int]:
    """Relative orbits whose swath touches a tile."""
    longitudes, latitudes = outline(tile)
    across = along_track(longitudes, latitudes)
    west, east = swath_edges(0, centre(tile)[1])
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
    edges = np.array(swath_edges(orbit, centre(tile)[1]))
    middle = edges.mean()
    near = along_track(*outline(tile)).mean()
    return np.asarray(edges - middle + float(unwrap(middle, near)))


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
    for tile in tiles_over(longitude, latitude, half_m):
        for orbit in orbits_over(tile):
            for year in range(start.year, end.year + 1):
                for scene in _scenes(seed, tile, orbit, year):
                    if start <= scene.acquired < end:
                        yield scene


def orbit_phase(orbit: int) -> int:
    """Day of the five on which an orbit is flown; different for orbits that see the same tile."""
    return orbit * 2 % REVISIT_DAYS


@lru_cache(maxsize=4096)
def _scenes(seed: int, tile: MgrsTile, orbit: int, year: int) -> tuple[Scene, ...]:
    """Scenes of a tile that an orbit takes in a year."""
    seen = footprint(tile, orbit)
    first = (datetime(year, 1, 1, tzinfo=UTC) - EPOCH).days
    end = (datetime(year + 1, 1, 1, tzinfo=UTC) - EPOCH).days
    first = max(first, 0)
    days = np.arange(first + (orbit_phase(orbit) - first) % REVISIT_DAYS, end, REVISIT_DAYS)
    if seen is None or not days.size:
        return ()
    longitude, latitude = centre(tile)
    # 10:30 mean solar time at the node; a descending pass runs 6.4 km/s southwards.
    hours = (10.5 - (orbit * 360.0 / ORBITS - 180.0) / 15.0) % 24.0
    overpass = timedelta(
        seconds=round(hours * 3600 - latitude * LONGITUDE_DEGREE_M / 6400) % 86_400
    )
    cloudiness = cloud_pct(seed, longitude, latitude, days).tolist()
    delays = (7 + uniform(seed, days, orbit) * 20).astype(int).tolist()
    scenes = []
    for day, cloudy, delay in zip(days.tolist(), cloudiness, delays, strict=True):
        acquired = EPOCH + timedelta(days=day) + overpass
        sensed = acquired - timedelta(seconds=acquired.second % 30)
        name = (
            f"{sensed:{_STAMP}}_{acquired + timedelta(seconds=delay):{_STAMP}}_T{mgrs_name(tile)}"
        )
        scenes.append(Scene(name, acquired, cloudy, tile.epsg, seen, _baseline(acquired)))
    return tuple(scenes)


def _baseline(acquired: datetime) -> str:
    return [number for first, number in BASELINES if first <= acquired][-1]


@dataclass(frozen=True, slots=True)
class Take:
    """Where a scene comes from."""

    scene: Scene
    tile: MgrsTile
    orbit: int


@lru_cache(maxsize=4096)
def find(seed: int, image_id: str) -> Take:
    """Find a scene by its name alone.

    Raises
    ------
    PermanentError
        When the archive has no such scene.
    """
    match = re.fullmatch(r"(\d{4})\d{4}T\d{6}_\d{8}T\d{6}_T(\d\d[C-X][A-Z][A-V])", image_id)
    tile = _tile_named(match[2]) if match else None
    if match and tile:
        for orbit in orbits_over(tile):
            for scene in _scenes(seed, tile, orbit, int(match[1])):
                if scene.image_id == image_id:
                    return Take(scene, tile, orbit)
    raise PermanentError("No such scene", image_id, "Take one from this archive's listing")


def _tile_named(name: str) -> MgrsTile | None:
    zone, band = int(name[:2]), name[2]
    if not 1 <= zone <= 60 or band not in _BANDS:
        return None
    epsg = (UTM_NORTH if band >= "N" else UTM_SOUTH) + zone
    column = _LETTERS.find(name[3]) - (zone - 1) % 3 * 8 + 1
    row = _LETTERS.find(name[4]) - 5 * (1 - zone % 2) + 1
    # Row letters come back every 2,000 km, bands of latitude are half as high.
    middle = ((_BANDS.index(band) + 0.5) * 8 - 80) * LATITUDE_DEGREE_MEAN_M / SQUARE_M
    row += 20 * round((middle - row) / 20)
    for candidate in (row, row - 20, row + 20):
        tile = MgrsTile(epsg, column, candidate)
        if 1 <= column <= 8 and abs(candidate) < 94 and mgrs_name(tile) == name and _exists(tile):
            return tile
    return None


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


def nodata(take: Take, grid: Grid) -> NDArray[np.bool_] | None:
    """Pixels of a grid that a scene does not show, (H, W); None when it shows all."""
    tile = take.tile
    north = grid.top_m - (np.arange(grid.height_px) + 0.5) * grid.pixel_m
    east = grid.left_m + (np.arange(grid.width_px) + 0.5) * grid.pixel_m
    outside = ((north > tile.top_m) | (north < tile.top_m - TILE_M))[:, None] | (
        (east < tile.left_m) | (east > tile.left_m + TILE_M)
    )[None, :]
    west, limit = _edges_near(tile, take.orbit)
    corners = to_lonlat(east[[0, -1, 0, -1]], north[[0, 0, -1, -1]], grid.epsg)
    if not _off_swath(*corners, west + 0.01, limit - 0.01, tile).any():
        return outside if outside.any() else None
    # The detectors' edge runs along native pixels of 60 m in the coarsest bands.
    x, y = np.meshgrid(_middles(east), _middles(north))
    return outside | _off_swath(*to_lonlat(x, y, grid.epsg), west, limit, tile)


def _middles(positions: NDArray[np.floating]) -> NDArray[np.float64]:
    """Middle of the 60 m block of each 10 m pixel; the grid begins on a block."""
    side = SNAP_M // PIXEL_M
    blocks = np.arange(positions.size) // side * side
    return np.asarray(positions[blocks] + (positions[1] - positions[0]) * (side - 1) / 2)


def _off_swath(
    longitude: NDArray[np.float64], latitude: NDArray[np.float64],
    west: float, east: float, tile: MgrsTile,
) -> NDArray[np.bool_]:  # fmt: skip
    across = along_track(unwrap(longitude, float(outline(tile)[0].mean())), latitude)
    return np.asarray((across < west) | (across > east))
