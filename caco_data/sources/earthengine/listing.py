"""Listings of scenes: the region that is sent, pages, and entries as scenes."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import numpy as np
import shapely
from shapely.geometry.polygon import orient

from caco_data.errors import TransientError
from caco_data.sources.earthengine.endpoint import COLLECTION
from caco_data.types import Footprint, Scene

#: Fields requested in a listing; the grids of all bands would take most of its bytes.
FIELDS = "nextPageToken,assets(id,startTime,geometry,properties,bands/grid/crsCode)"
#: Maximum that the service returns per page (v1 reference, `projects.assets.listAssets`).
PAGE_SIZE = 1000
#: A patch has about 150 scenes per year.
MAX_PAGES = 20
#: Rings with a smaller area, square degrees (0.01 m2), are rounding errors.
_MIN_AREA = 1e-12


def listing_query(
    patch: Footprint, start: datetime, end: datetime, max_cloud_pct: float
) -> dict[str, Any]:
    """Return the parameters of `ee.data.listImages`, without the page."""
    return {
        "parent": COLLECTION,
        "startTime": f"{start:%Y-%m-%dT%H:%M:%S.%fZ}",
        "endTime": f"{end:%Y-%m-%dT%H:%M:%S.%fZ}",
        "region": region(patch),
        "fields": FIELDS,
        "filter": f"properties.CLOUDY_PIXEL_PERCENTAGE <= {max_cloud_pct!r}",
        "pageSize": PAGE_SIZE,
    }


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


def read_listing(read_page: Callable[[str], dict[str, Any]]) -> list[Scene]:
    """Read all pages of a listing.

    Parameters
    ----------
    read_page : callable
        Returns the page of a token (`""` for the first one): `{"images": [...]}` and, unless it is
        the last one, `"nextPageToken"`.

    Returns
    -------
    list of Scene
        Entries without the required fields are skipped.

    Raises
    ------
    TransientError
        When pages repeat or are too many, or no entry has the required fields; the listing must
        not be mistaken for one without scenes.
    """
    entries: list[Any] = []
    tokens = [""]
    while True:
        page = read_page(tokens[-1])
        entries += page["images"]
        token = page.get("nextPageToken")
        if not token:
            break
        if token in tokens:
            raise _unreadable("a page refers to an earlier one")
        if len(tokens) == MAX_PAGES:
            raise _unreadable(f"more than {MAX_PAGES} pages")
        tokens.append(token)
    scenes = [scene for entry in entries if (scene := parse_scene(entry))]
    if entries and not scenes:
        raise _unreadable(f"none of {len(entries)} entries has the expected fields")
    return scenes


def _unreadable(why: str) -> TransientError:
    return TransientError(f"Cannot read the listing: {why}", COLLECTION, uncertain=True)


def parse_scene(image: Any) -> Scene | None:
    """Read a scene from its listing entry; None when a required field is missing or invalid."""
    try:
        properties = image["properties"]
        acquired = datetime.fromisoformat(image["startTime"])
        cloud_pct = float(properties["CLOUDY_PIXEL_PERCENTAGE"])
        if not math.isfinite(cloud_pct):
            return None
        return Scene(
            image_id=image["id"].rsplit("/", 1)[-1],
            # A time without a zone is UTC, as all times of the service.
            acquired=acquired.astimezone(UTC) if acquired.tzinfo else acquired.replace(tzinfo=UTC),
            cloud_pct=cloud_pct,
            epsg=int(image["bands"][0]["grid"]["crsCode"].removeprefix("EPSG:")),
            footprint=_footprint(image["geometry"]),
            baseline=str(properties.get("PROCESSING_BASELINE", "")),
        )
    except (LookupError, ValueError, TypeError, AttributeError, OverflowError):
        return None


def _footprint(geometry: dict[str, Any]) -> Footprint:
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
