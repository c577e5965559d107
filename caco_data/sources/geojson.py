"""Patches and footprints as GeoJSON."""

from __future__ import annotations

from typing import Any

import numpy as np
import shapely
from shapely.geometry.polygon import orient

from caco_data.types import Footprint

#: Rings with a smaller area, square degrees (0.01 m2), are rounding errors.
_MIN_AREA = 1e-12


def region(patch: Footprint) -> dict[str, Any]:
    """Return a patch as GeoJSON: a Polygon, or a MultiPolygon across the antimeridian.

    Rings are counter-clockwise, otherwise they could mean the rest of the globe, and longitudes
    are in [-180, 180] (RFC 7946, sections 3.1.6 and 3.1.9).
    """
    polygon = shapely.Polygon(zip(patch.longitudes, patch.latitudes, strict=True))
    west, _, east, _ = polygon.bounds
    parts = [polygon]
    if west < -180 or east > 180:
        parts = []
        for turn in (-360.0, 0.0, 360.0):
            part = shapely.clip_by_rect(polygon, -180 - turn, -90, 180 - turn, 90)
            if part.area > _MIN_AREA:
                shifted = shapely.get_coordinates(part) + np.array([turn, 0.0])
                # Rounding of the shift must not exceed the limits.
                parts.append(shapely.Polygon(shifted.clip([-180, -90], [180, 90])))
    rings = [[[list(xy) for xy in orient(part).exterior.coords]] for part in parts]
    if len(rings) == 1:
        return {"type": "Polygon", "coordinates": rings[0]}
    return {"type": "MultiPolygon", "coordinates": rings}


def read_footprint(geometry: dict[str, Any]) -> Footprint:
    """Read a GeoJSON geometry: its part with the most vertices.

    Raises
    ------
    ValueError, LookupError, TypeError
        When it is not a polygon with an area, of finite longitudes and latitudes.
    """
    parts: list[Any] = geometry["coordinates"]
    if geometry["type"] == "LinearRing":
        rings = [parts]
    elif geometry["type"] == "MultiPolygon":
        rings = [polygon[0] for polygon in parts]
    else:
        rings = parts[:1]
    ring = max(rings, key=len)
    # Plain Python: for the few vertices of a footprint, NumPy takes four times as long.
    lon = [float(vertex[0]) for vertex in ring]
    lat = [float(vertex[1]) for vertex in ring]
    if (lon[0], lat[0]) == (lon[-1], lat[-1]):
        lon.pop(), lat.pop()
    if not all(abs(x) <= 360 for x in lon) or not all(abs(y) <= 90 for y in lat):
        raise ValueError("a coordinate is not finite or not on the globe")
    if max(lon) - min(lon) > 180:  # it crosses the antimeridian
        lon = np.unwrap(lon, period=360.0).tolist()
    if abs(_double_area(lon, lat)) < _MIN_AREA:
        raise ValueError("the ring has no area")
    return Footprint(tuple(lon), tuple(lat))


def _double_area(x: list[float], y: list[float]) -> float:
    """Twice the signed area of a ring that is not closed, in the square of the unit."""
    vertices = [(a - x[0], b - y[0]) for a, b in zip(x, y, strict=True)]
    following = [*vertices[1:], vertices[0]]
    return sum(a * d - b * c for (a, b), (c, d) in zip(vertices, following, strict=True))
