"""The pixel grid of a patch: UTM zone and positions of the pixels.

The origin is snapped to multiples of 60 m, so that the 20 m and 60 m pixels of Sentinel-2 coincide
with the grid: one nearest-neighbour request at 10 m returns every band, and `[::2]`, `[::6]`
recover the native values. Multiples are counted from the equator, as for MGRS tiles; in the south,
with the false northing of 10,000 km, this gives northings such as 9,500,020, because 10,000,000 is
not a multiple of 60.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pyproj import Transformer

from caco_data.sentinel2 import PIXEL_M
from caco_data.types import PATCH_M, PATCH_PX, Footprint, Grid, Location

#: Patch origins are multiples of this, metres: the largest native pixel size of Sentinel-2.
SNAP_M = 60

#: Latitudes between which UTM is defined; Sentinel-2 acquires no land beyond them.
LATITUDE_MIN, LATITUDE_MAX = -80.0, 84.0

#: EPSG 326zz is WGS 84 / UTM zone zz north, 327zz south.
UTM_NORTH, UTM_SOUTH = 32600, 32700

#: Northing of the equator in southern UTM zones, metres.
FALSE_NORTHING_M = 10_000_000


def utm_epsg(longitude: ArrayLike, latitude: ArrayLike) -> NDArray[np.int32]:
    """UTM zone of points, with the exceptions of MGRS for Norway (32V) and Svalbard (31X-37X).

    Parameters
    ----------
    longitude, latitude : array_like
        Degrees, EPSG:4326.

    Returns
    -------
    ndarray of int32
        EPSG codes, 32601..32660 north of the equator and 32701..32760 south of it.
    """
    lon = (np.asarray(longitude, dtype=np.float64) + 180.0) % 360.0 - 180.0
    lat = np.asarray(latitude, dtype=np.float64)
    zone = np.clip(np.floor((lon + 180.0) / 6.0) + 1, 1, 60)
    norway = (lat >= 56) & (lat < 64) & (lon >= 3) & (lon < 12)
    svalbard = (lat >= 72) & (lat <= 84) & (lon >= 0) & (lon < 42)
    zone = np.where(norway, 32, zone)
    zone = np.where(svalbard, 31 + 2 * np.digitize(lon, [9.0, 21.0, 33.0]), zone)
    return np.asarray(zone + np.where(lat >= 0, UTM_NORTH, UTM_SOUTH), dtype=np.int32)


@lru_cache(maxsize=1)
def _zone_31() -> Transformer:
    return Transformer.from_crs(4326, UTM_NORTH + 31, always_xy=True)


def _from_zone_31(epsg: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Longitude of zones relative to zone 31, degrees, and their false northings, metres.

    All UTM zones are the same projection rotated about the earth's axis, so that one transformer
    converts points of different zones in one call.
    """
    code = np.asarray(epsg)
    zone = code - np.where(code > UTM_SOUTH, UTM_SOUTH, UTM_NORTH)
    return 6.0 * (zone - 31), false_northing_m(code).astype(np.float64)


def to_utm(
    longitude: ArrayLike, latitude: ArrayLike, epsg: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Easting and northing in metres of points in UTM zones: one for all, or one per point."""
    turn, false_northing = _from_zone_31(epsg)
    shifted, lat = np.broadcast_arrays(unwrap(np.asarray(longitude) - turn, 3.0), latitude)
    easting, northing = _zone_31().transform(shifted, lat)
    return np.asarray(easting, dtype=np.float64), np.asarray(northing + false_northing)


def to_lonlat(
    easting: ArrayLike, northing: ArrayLike, epsg: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Longitude and latitude in degrees of points in UTM zones: one for all, or one per point."""
    turn, false_northing = _from_zone_31(epsg)
    east, north = np.broadcast_arrays(easting, np.asarray(northing) - false_northing)
    longitude, latitude = _zone_31().transform(east, north, direction="INVERSE")
    return unwrap(longitude + turn, 0.0), np.asarray(latitude, dtype=np.float64)


def false_northing_m(epsg: ArrayLike) -> NDArray[np.int64]:
    """Northing of the equator in UTM zones, metres."""
    return np.where(np.asarray(epsg) > UTM_SOUTH, FALSE_NORTHING_M, 0)


def patch_origin(
    easting: ArrayLike, northing: ArrayLike, epsg: ArrayLike, patch_m: int = PATCH_M
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Left and top edge, in whole metres, of the patches around UTM points.

    Because of the snapping, the centre of a patch is within 30 m of its point on each axis.
    """
    half = patch_m / 2
    equator = false_northing_m(epsg)
    left = np.round((np.asarray(easting) - half) / SNAP_M).astype(np.int64) * SNAP_M
    top = np.round((np.asarray(northing) - equator + half) / SNAP_M).astype(np.int64) * SNAP_M
    return left, top + equator


def patch_grid(location: Location, patch_px: int = PATCH_PX) -> Grid:
    """Grid of a location's patch with a side of `patch_px` pixels of 10 m."""
    easting, northing = to_utm(location.longitude, location.latitude, location.utm_epsg)
    patch_m = patch_px * PIXEL_M
    left, top = patch_origin(easting, northing, location.utm_epsg, patch_m)
    return Grid(location.utm_epsg, int(left), int(top), patch_px, patch_px)


def patch_corners(
    longitude: ArrayLike, latitude: ArrayLike, epsg: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Corners of the patches around points.

    Parameters
    ----------
    longitude, latitude : array_like, shape (N,)
        Degrees.
    epsg : array_like
        UTM zone: one for all points, or shape (N,).

    Returns
    -------
    longitudes, latitudes : ndarray of float64, shape (N, 4)
        Degrees, clockwise from the upper left. Longitudes are within 180 degrees of the point's,
        so that they can be above 180 or below -180.
    """
    lon = np.atleast_1d(np.asarray(longitude, dtype=np.float64))
    left, top = patch_origin(*to_utm(lon, np.atleast_1d(latitude), epsg), epsg)
    x = np.stack([left, left + PATCH_M, left + PATCH_M, left], axis=-1)
    y = np.stack([top, top, top - PATCH_M, top - PATCH_M], axis=-1)
    lons, lats = to_lonlat(x, y, np.asarray(epsg)[..., None])
    return unwrap(lons, lon[:, None]), lats


def unwrap(longitude: ArrayLike, near: ArrayLike) -> NDArray[np.float64]:
    """Longitudes shifted by multiples of 360 to within 180 degrees of `near`."""
    lon = np.asarray(longitude, dtype=np.float64)
    return np.asarray(lon - 360.0 * np.round((lon - np.asarray(near)) / 360.0))


def grid_footprint(grid: Grid) -> Footprint:
    """Outline of a grid on the globe."""
    x = np.array([grid.left_m, grid.right_m, grid.right_m, grid.left_m])
    y = np.array([grid.top_m, grid.top_m, grid.bottom_m, grid.bottom_m])
    lons, lats = to_lonlat(x, y, grid.epsg)
    return Footprint(tuple(unwrap(lons, lons[0]).tolist()), tuple(lats.tolist()))
