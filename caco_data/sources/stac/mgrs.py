"""Names of the MGRS tiles of Sentinel-2 that contain a patch."""

from __future__ import annotations

import re
from dataclasses import dataclass

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
from caco_data.types import Footprint

#: Side of a tile's image, and spacing of the tiles, metres.
TILE_M, SQUARE_M = 109_800, 100_000
#: Side of a cell, metres.
_CELL_M = 10_000
#: Letters of 100 km columns and, the first 20 of them, of rows.
_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ"
_ROWS = 20
#: Bands of 8 degrees of latitude, from 80 degrees south; the last one is 12 degrees high.
_BANDS = "CDEFGHJKLMNPQRSTUVWX"
_BAND_DEG, _FIRST_BAND_DEG = 8, -80
#: 100 km columns of a zone, and their letters: those of three zones in turn.
_COLUMNS = 8
_NAME = re.compile(r"(\d{1,2})([C-HJ-NP-X])([A-HJ-NP-Z])([A-HJ-NP-V])")


@dataclass(frozen=True, slots=True)
class TileSquare:
    """A square of 100 km of a UTM zone; the image of its tile is slightly larger."""

    epsg: int
    column: int
    """Easting of the left edge / 100 km."""
    row: int
    """Distance of the upper edge from the equator / 100 km, negative in the south."""

    @property
    def left_m(self) -> int:
        """Easting of the image's left edge: on the 60 m lattice, at or before the 100 km line."""
        return self.column * SQUARE_M // SNAP_M * SNAP_M

    @property
    def top_m(self) -> int:
        """Northing of the image's upper edge, on the 60 m lattice from the equator."""
        return -(-self.row * SQUARE_M // SNAP_M) * SNAP_M + int(false_northing_m(self.epsg))

    @property
    def footprint(self) -> Footprint:
        """Outline of the image on the globe."""
        x = self.left_m + np.array([0, TILE_M, TILE_M, 0])
        y = self.top_m - np.array([0, 0, TILE_M, TILE_M])
        lons, lats = to_lonlat(x, y, self.epsg)
        return Footprint(tuple(unwrap(lons, lons[0]).tolist()), tuple(lats.tolist()))

    @property
    def names(self) -> tuple[str, ...]:
        """Names that the tile may have: two where its square contains a border of bands."""
        zone = self.epsg % 100
        column = _LETTERS[(zone - 1) % 3 * _COLUMNS + (self.column - 1) % _COLUMNS]
        row = _LETTERS[(self.row - 1 + 5 * (1 - zone % 2)) % _ROWS]
        lats = np.array(self.footprint.latitudes)
        numbers = (np.array([lats.min(), lats.max()]) - _FIRST_BAND_DEG) // _BAND_DEG
        first, last = np.clip(numbers, 0, len(_BANDS) - 1).astype(int).tolist()
        return tuple(f"{zone:02d}{_BANDS[b]}{column}{row}" for b in range(first, last + 1))

    def __str__(self) -> str:
        """Name for files, such as `32631-4-49`."""
        return f"{self.epsg}-{self.column}-{self.row}"


def squares_with(patch: Footprint) -> list[TileSquare]:
    """Return the tiles whose image contains a whole patch, in the UTM zones that the patch touches.

    Scenes of other tiles cannot be used: they do not cover the patch.
    """
    lon, lat = np.array(patch.longitudes), np.array(patch.latitudes)
    found = []
    for epsg in np.unique(utm_epsg([*lon, lon.mean()], [*lat, lat.mean()])).tolist():
        x, y = to_utm(lon, lat, epsg)
        y = y - int(false_northing_m(epsg))
        found += [
            square
            for column in _around(x.min(), x.max())
            if 1 <= column <= _COLUMNS
            for bottom in _around(y.min() - SNAP_M, y.max())
            if _contains(square := TileSquare(epsg, column, bottom + 1), x, y)
        ]
    return found


@dataclass(frozen=True, slots=True)
class Cell:
    """A square of 10 km, for services that cannot search by the name of a tile."""

    epsg: int
    column: int
    """Easting of the left edge / 10 km."""
    row: int
    """Northing of the lower edge, from the equator / 10 km."""
    names: tuple[str, ...] = ()
    """All tiles."""

    @property
    def footprint(self) -> Footprint:
        """Outline on the globe."""
        x = (self.column + np.array([0, 1, 1, 0])) * _CELL_M
        y = (self.row + np.array([1, 1, 0, 0])) * _CELL_M + int(false_northing_m(self.epsg))
        lons, lats = to_lonlat(x, y, self.epsg)
        return Footprint(tuple(unwrap(lons, lons[0]).tolist()), tuple(lats.tolist()))

    def __str__(self) -> str:
        """Name for files, such as `32631-cell-40-482`."""
        return f"{self.epsg}-cell-{self.column}-{self.row}"


#: Area of a listing.
Area = TileSquare | Cell


def cell_with(patch: Footprint) -> Cell:
    """Return the cell with the middle of a patch; scenes that contain the patch touch it."""
    lon, lat = float(np.mean(patch.longitudes)), float(np.mean(patch.latitudes))
    epsg = int(utm_epsg(lon, lat))
    x, y = to_utm(lon, lat, epsg)
    y = y - int(false_northing_m(epsg))
    return Cell(epsg, int(x // _CELL_M), int(y // _CELL_M))


def _around(low: float, high: float) -> range:
    """Return the 100 km lines at which squares with images that touch an interval may begin."""
    return range(int((low - TILE_M) // SQUARE_M), int(high // SQUARE_M) + 2)


def _contains(square: TileSquare, x: NDArray[np.float64], y: NDArray[np.float64]) -> bool:
    top = square.top_m - int(false_northing_m(square.epsg))
    # Tolerance of 1 m: the corners of a patch are converted to longitude and latitude and back.
    return bool(
        x.min() >= square.left_m - 1
        and x.max() <= square.left_m + TILE_M + 1
        and y.max() <= top + 1
        and y.min() >= top - TILE_M - 1
    )


def parse_name(text: str) -> tuple[str, int] | None:
    """Find a tile's name in a text, such as `MGRS-31TCF`; return it and its zone's EPSG code."""
    match = _NAME.search(text)
    if match is None or not 1 <= int(match[1]) <= 60:
        return None
    epsg = (UTM_NORTH if match[2] >= "N" else UTM_SOUTH) + int(match[1])
    return f"{int(match[1]):02d}{match[2]}{match[3]}{match[4]}", epsg
