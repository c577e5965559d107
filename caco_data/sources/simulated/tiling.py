"""Tiles like those of MGRS: names, positions, and the tiles around a point."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from caco_data.grid import (
    SNAP_M,
    UTM_NORTH,
    UTM_SOUTH,
    false_northing_m,
    to_lonlat,
    to_utm,
    unwrap,
    utm_epsg,
)
from caco_data.world.geodesy import LATITUDE_DEGREE_MEAN_M, LONGITUDE_DEGREE_M

#: Side of a tile's image, and spacing of the tiles, metres.
TILE_M = 109_800
SQUARE_M = 100_000
#: Sentinel-2 acquires up to 84 degrees; the simulated archive ends slightly earlier.
LATITUDE_MAX = 83.0

#: Letters of 100 km columns and rows (the rows use the first 20), and of bands of 8 degrees of
#: latitude from 80 degrees south.
_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ"
_ROWS = 20
_BANDS = "CDEFGHJKLMNPQRSTUVWX"
_BAND_DEG, _FIRST_BAND_DEG = 8, -80
#: 100 km columns of a zone, and rows on each side of the equator.
_COLUMNS, _ROWS_MAX = 8, 94


@dataclass(frozen=True, slots=True)
class MgrsTile:
    """A tile, which covers a square of 100 km of its UTM zone and overlaps its neighbours."""

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
    """Return longitude and latitude of a tile's centre, degrees."""
    half = TILE_M / 2
    longitude, latitude = to_lonlat(tile.left_m + half, tile.top_m - half, tile.epsg)
    return float(longitude), float(latitude)


@lru_cache(maxsize=4096)
def mgrs_name(tile: MgrsTile) -> str:
    """Return the MGRS name of a tile, such as `31TCF`."""
    zone = tile.epsg % 100
    number = int((centre(tile)[1] - _FIRST_BAND_DEG) // _BAND_DEG)
    band = _BANDS[min(max(number, 0), len(_BANDS) - 1)]
    # Column letters repeat every three zones; row letters begin five letters later in even zones.
    column = _LETTERS[(zone - 1) % 3 * _COLUMNS + (tile.column - 1) % _COLUMNS]
    row = _LETTERS[(tile.row - 1 + 5 * (1 - zone % 2)) % _ROWS]
    return f"{zone:02d}{band}{column}{row}"


@lru_cache(maxsize=4096)
def outline(tile: MgrsTile) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return longitudes and latitudes of a tile's corners, degrees, without a jump of 360."""
    x = tile.left_m + np.array([0, TILE_M, TILE_M, 0])
    y = tile.top_m - np.array([0, 0, TILE_M, TILE_M])
    longitude, latitude = to_lonlat(x, y, tile.epsg)
    return unwrap(longitude, longitude[0]), latitude


def tiles_over(longitude: float, latitude: float, half_m: float) -> list[MgrsTile]:
    """Return the tiles that touch a square of side `2 * half_m` around a point.

    Near the border of a UTM zone these are tiles of both zones.
    """
    near = TILE_M / LONGITUDE_DEGREE_M
    lon = longitude + np.array([-1, 0, 1]) * near / np.cos(np.radians(latitude))
    lat = np.clip(latitude + np.array([-1, 0, 1]) * near, -LATITUDE_MAX, LATITUDE_MAX)
    found: list[MgrsTile] = []
    for epsg in np.unique(utm_epsg(lon[:, None], lat[None, :])).tolist():
        easting, northing = to_utm(longitude, latitude, epsg)
        north = float(northing) - int(false_northing_m(epsg))
        columns = _touched(float(easting) - half_m, float(easting) + half_m)
        rows = _touched(-north - half_m, -north + half_m)
        tiles = (MgrsTile(epsg, column, -row) for column in columns for row in rows)
        found += filter(_exists, tiles)
    return found


@lru_cache(maxsize=8192)
def _exists(tile: MgrsTile) -> bool:
    """Return whether a tile's 100 km square touches its zone, with the exceptions of MGRS."""
    if not 1 <= tile.column <= _COLUMNS:
        return False
    inside = np.array([0.01, 0.5, 0.99]) * SQUARE_M
    x = tile.column * SQUARE_M + inside
    y = tile.row * SQUARE_M - inside + int(false_northing_m(tile.epsg))
    longitude, latitude = to_lonlat(x[:, None], y[None, :], tile.epsg)
    return bool((utm_epsg(longitude, latitude) == tile.epsg).any())


def _touched(low: float, high: float) -> range:
    """Return the 100 km lines at which the tiles that touch an interval begin."""
    first = int((low - TILE_M) // SQUARE_M) + 1
    return range(first, int(high // SQUARE_M) + 1)


def tile_named(name: str) -> MgrsTile | None:
    """Return the tile with an MGRS name; None when there is none."""
    zone, band = int(name[:2]), name[2]
    if not 1 <= zone <= 60 or band not in _BANDS:
        return None
    epsg = (UTM_NORTH if band >= "N" else UTM_SOUTH) + zone
    column = _LETTERS.find(name[3]) - (zone - 1) % 3 * _COLUMNS + 1
    row = _LETTERS.find(name[4]) - 5 * (1 - zone % 2) + 1
    # Row letters repeat every 2,000 km; bands of latitude are half as high.
    middle_deg = (_BANDS.index(band) + 0.5) * _BAND_DEG + _FIRST_BAND_DEG
    middle = middle_deg * LATITUDE_DEGREE_MEAN_M / SQUARE_M
    row += _ROWS * round((middle - row) / _ROWS)
    for candidate in (row, row - _ROWS, row + _ROWS):
        tile = MgrsTile(epsg, column, candidate)
        on_map = 1 <= column <= _COLUMNS and abs(candidate) < _ROWS_MAX
        if on_map and mgrs_name(tile) == name and _exists(tile):
            return tile
    return None
