"""A region of the globe: a box of longitudes and latitudes, or the polygons of a file."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caco_data.errors import InputError
from caco_data.world.geodesy import LATITUDE_DEGREE_MIN_M

_NUMBER = r"\s*([-+]?[0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?)\s*"
_BOX = re.compile(",".join([_NUMBER] * 4))

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Region:
    """Area in which locations may be placed."""

    longitude_min: float = -180.0
    """Degrees."""
    longitude_max: float = 180.0
    """Degrees, at least `longitude_min`; above 180 when the region crosses the antimeridian."""
    latitude_min: float = -90.0
    """Degrees."""
    latitude_max: float = 90.0
    """Degrees."""
    shape: Any = None
    """Shapely geometry of the region within -180..180, or None when it is the whole box."""

    def contains(self, longitude: Floats, latitude: Floats) -> NDArray[np.bool_]:
        """Whether points (N,) are in the region; longitudes may be shifted by multiples of 360."""
        width = self.longitude_max - self.longitude_min
        inside = (longitude - self.longitude_min) % 360.0 <= width
        inside &= (latitude >= self.latitude_min) & (latitude <= self.latitude_max)
        if self.shape is not None:
            import shapely

            wrapped = (longitude[inside] + 180.0) % 360.0 - 180.0
            inside[inside] = shapely.contains_xy(self.shape, wrapped, latitude[inside])
        return inside

    def within_reach(
        self, longitude: Floats, latitude: Floats, reach_m: float
    ) -> NDArray[np.bool_]:
        """Whether points (N,) may be within a distance, metres, of the region.

        Conservative: True for every point within the distance, and for some slightly beyond it.
        """
        north_deg = reach_m / LATITUDE_DEGREE_MIN_M
        highest = np.minimum(np.abs(latitude) + north_deg, 89.9)
        east_deg = north_deg / np.cos(np.radians(highest))
        width = self.longitude_max - self.longitude_min
        near = (longitude - self.longitude_min + east_deg) % 360.0 <= width + 2 * east_deg
        near &= (latitude >= self.latitude_min - north_deg) & (
            latitude <= self.latitude_max + north_deg
        )
        if self.shape is not None:
            import shapely

            # east_deg is at least north_deg, so that it bounds the distance in every direction.
            turns = np.array([[-360.0], [0.0], [360.0]])
            points = shapely.points(longitude[near] + turns, np.tile(latitude[near], (3, 1)))
            near[near] = shapely.dwithin(self.shape, points, east_deg[near]).any(axis=0)
        return near


def parse_region(text: str) -> Region:
    """Region from four numbers or from a vector file.

    Parameters
    ----------
    text : str
        `minlon,minlat,maxlon,maxlat` in degrees, with minlon > maxlon across the antimeridian; or
        the path of a file of polygons.

    Returns
    -------
    Region

    Raises
    ------
    InputError
        When the numbers are not a box, or the file cannot be used.
    """
    match = _BOX.fullmatch(text)
    if match is None:
        if not Path(text).exists():
            raise InputError(
                "Neither a file nor a box", f"--within {text}",
                "Use a file of polygons, or minlon,minlat,maxlon,maxlat in degrees",
            )  # fmt: skip
        return _region_of_file(text)
    west, south, east, north = (float(number) for number in match.groups())
    if not (abs(west) <= 180 and abs(east) <= 180 and -90 <= south < north <= 90 and west != east):
        raise InputError(
            "The box is not minlon,minlat,maxlon,maxlat in degrees", f"--within {text}",
            "Use longitudes in -180..180 and latitudes in -90..90, the smaller first "
            "(minlon > maxlon only across the antimeridian)",
        )  # fmt: skip
    return Region(west, east if east > west else east + 360.0, south, north)


def _region_of_file(path: str) -> Region:
    import shapely

    from caco_data.world.vector_files import read_polygons

    shape = shapely.union_all(shapely.make_valid(read_polygons(path, "region")))
    shapely.prepare(shape)
    bounds = shapely.bounds(shapely.get_parts(shape))
    # The narrowest box starts where the widest gap between the parts' longitudes ends.
    order = np.argsort(bounds[:, 0])
    starts = bounds[order, 0]
    reached = np.maximum.accumulate(bounds[order, 2])
    gaps = np.append(starts[1:], starts[0] + 360.0) - reached
    widest = int(np.argmax(gaps))
    west = float(starts[(widest + 1) % starts.size])
    east = float(reached[widest])
    return Region(
        longitude_min=west,
        longitude_max=east if east >= west else east + 360.0,
        latitude_min=float(bounds[:, 1].min()),
        latitude_max=float(bounds[:, 3].max()),
        shape=shape,
    )
