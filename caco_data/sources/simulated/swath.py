"""Orbits and swaths: the orbits that acquire a tile, and the part that each one covers.

Modelled on the constellation of Sentinel-2A and B: every relative orbit is repeated after five
days, and the overlap of adjacent swaths increases with the distance from the equator.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from caco_data.grid import SNAP_M, to_lonlat, unwrap
from caco_data.sentinel2 import PIXEL_M
from caco_data.sources.simulated.tiling import TILE_M, MgrsTile, centre, outline
from caco_data.types import Footprint, Grid
from caco_data.world.geodesy import LONGITUDE_DEGREE_M

#: Relative orbits; days after which each is repeated.
ORBITS, REVISIT_DAYS = 143, 5
#: Half of the 290 km swath.
HALF_SWATH_M = 145_000
#: Degrees of longitude by which a descending track moves west per degree of latitude southwards.
TRACK_SLOPE = 0.22
#: Minimum fraction of a tile that a product covers.
MIN_TILE_FRACTION = 0.02
#: Deviation of the swath's edges from straight lines in UTM, degrees.
EDGE_MARGIN_DEG = 0.01


def swath_edges(orbit: int, latitude: float) -> tuple[float, float]:
    """Return the limits of an orbit's swath as longitudes at the equator, degrees.

    Compare with `along_track`. The width depends on the latitude; it is constant over a tile.
    """
    half = HALF_SWATH_M / (LONGITUDE_DEGREE_M * float(np.cos(np.radians(latitude))))
    middle = orbit_longitude(orbit)
    return middle - half, middle + half


def along_track(
    longitude: NDArray[np.float64], latitude: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Project points along the ground tracks: their longitudes at the equator, degrees."""
    projected: NDArray[np.float64] = longitude - TRACK_SLOPE * latitude
    return projected


def orbits_over(tile: MgrsTile) -> list[int]:
    """Return the relative orbits with a swath that touches a tile."""
    longitudes, latitudes = outline(tile)
    across = along_track(longitudes, latitudes)
    west, east = swath_edges(0, centre(tile)[1])
    low, high = across.min() - (east - west) / 2, across.max() + (east - west) / 2
    step = 360.0 / ORBITS
    first, last = int(np.ceil((low + 180) / step)), int(np.floor((high + 180) / step))
    return [k % ORBITS for k in range(first, last + 1)]


@lru_cache(maxsize=8192)
def footprint(tile: MgrsTile, orbit: int) -> Footprint | None:
    """Return the part of a tile that an orbit covers; None when it is too small for a product."""
    lons, lats = outline(tile)
    ring = list(zip(lons.tolist(), lats.tolist(), strict=True))
    west, east = (float(e) for e in _edges_near(tile, orbit))
    for edge, sign in ((west, 1.0), (east, -1.0)):
        ring = _clip(ring, edge, sign)
    if len(ring) < 3 or _area(ring) < MIN_TILE_FRACTION * _area(list(zip(lons, lats, strict=True))):
        return None
    return Footprint(tuple(p[0] for p in ring), tuple(p[1] for p in ring))


@lru_cache(maxsize=8192)
def swath_side(tile: MgrsTile, orbit: int) -> float:
    """Return where a tile's centre is in a swath: -1 at its western edge, 1 at the eastern."""
    west, east = (float(edge) for edge in _edges_near(tile, orbit))
    longitude, latitude = (np.array([value]) for value in centre(tile))
    near = float(outline(tile)[0].mean())
    position = float(along_track(unwrap(longitude, near), latitude)[0])
    return min(max((position - west) / (east - west) * 2 - 1, -1.0), 1.0)


def _edges_near(tile: MgrsTile, orbit: int) -> NDArray[np.float64]:
    """Return the swath edges with longitudes within 180 degrees of the tile's."""
    edges = np.array(swath_edges(orbit, centre(tile)[1]))
    middle = edges.mean()
    near = along_track(*outline(tile)).mean()
    return np.asarray(edges - middle + float(unwrap(middle, near)))


def _clip(ring: list[tuple[float, float]], edge: float, sign: float) -> list[tuple[float, float]]:
    """Clip a ring to the positive side of a swath edge (Sutherland and Hodgman)."""
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


def orbit_phase(orbit: int) -> int:
    """Return the day of an orbit in the cycle, 0..4; it differs between adjacent orbits."""
    return orbit * 2 % REVISIT_DAYS


def orbit_longitude(orbit: int) -> float:
    """Return the longitude at which an orbit crosses the equator, degrees."""
    return orbit * 360.0 / ORBITS - 180.0


def nodata(tile: MgrsTile, orbit: int, grid: Grid) -> NDArray[np.bool_] | None:
    """Return the pixels of a grid without data, (H, W); None when all of them have data."""
    north = grid.top_m - (np.arange(grid.height_px) + 0.5) * grid.pixel_m
    east = grid.left_m + (np.arange(grid.width_px) + 0.5) * grid.pixel_m
    outside = ((north > tile.top_m) | (north < tile.top_m - TILE_M))[:, None] | (
        (east < tile.left_m) | (east > tile.left_m + TILE_M)
    )[None, :]
    west, limit = _edges_near(tile, orbit)
    margin = EDGE_MARGIN_DEG
    if not _off_swath(*_corners(grid), west + margin, limit - margin, tile).any():
        return outside if outside.any() else None
    # The edge follows whole pixels of 60 m, those of the coarsest bands, in every band.
    side = SNAP_M // PIXEL_M
    missing = _off_swath(*_blocks(grid), west, limit, tile)
    missing = missing.repeat(side, axis=0).repeat(side, axis=1)
    return outside | missing[: grid.height_px, : grid.width_px]


@lru_cache(maxsize=256)
def _corners(grid: Grid) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return longitudes and latitudes of a grid's corners, degrees."""
    x, y = np.meshgrid([grid.left_m, grid.right_m], [grid.top_m, grid.bottom_m])
    return to_lonlat(x.ravel().astype(np.float64), y.ravel().astype(np.float64), grid.epsg)


@lru_cache(maxsize=64)
def _blocks(grid: Grid) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return longitudes and latitudes of the 60 m blocks from a grid's corner, degrees."""
    x = np.arange(grid.left_m, grid.right_m, SNAP_M) + SNAP_M / 2
    y = np.arange(grid.top_m, grid.bottom_m, -SNAP_M) - SNAP_M / 2
    easting, northing = np.meshgrid(x, y)
    return to_lonlat(easting, northing, grid.epsg)


def _off_swath(
    longitude: NDArray[np.float64], latitude: NDArray[np.float64],
    west: float, east: float, tile: MgrsTile,
) -> NDArray[np.bool_]:  # fmt: skip
    across = along_track(unwrap(longitude, float(outline(tile)[0].mean())), latitude)
    return np.asarray((across < west) | (across > east))
