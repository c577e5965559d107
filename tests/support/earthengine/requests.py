"""Requests to the test server without the Earth Engine client."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode, urlsplit

import shapely
from shapely.geometry.polygon import orient

from caco_data.grid import grid_footprint, patch_grid
from caco_data.sources.simulated.settings import SimulatedSettings
from caco_data.sources.simulated.source import SimulatedSource
from caco_data.types import Footprint, Grid, Location, Scene
from tests.support.earthengine.entries import COLLECTION, ROOT

GRID = patch_grid(Location(0, 2.35, 48.85, 32631))
PATCH = grid_footprint(GRID)
SOURCE = SimulatedSettings().open()
START, END = datetime(2019, 1, 1, tzinfo=UTC), datetime(2019, 4, 1, tzinfo=UTC)
BANDS = ("B4", "B8A", "B1", "SCL")


def ask(
    url: str, method: str, target: str, body: bytes | None = None, timeout: float = 60.0,
    headers: Mapping[str, str] | None = None,
) -> tuple[int, http.client.HTTPMessage, bytes]:  # fmt: skip
    """Send a request; return status, headers and body."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=timeout)
    try:
        connection.request(method, target, body, headers or {})
        response = connection.getresponse()
        return response.status, response.headers, response.read()
    finally:
        connection.close()


def counters(url: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(ask(url, "GET", "/counters")[2])
    return found


def error_of(body: bytes) -> dict[str, Any]:
    error: dict[str, Any] = json.loads(body)["error"]
    return error


def polygon(footprint: Footprint) -> dict[str, Any]:
    ring = shapely.Polygon(zip(footprint.longitudes, footprint.latitudes, strict=True))
    return {"type": "Polygon", "coordinates": [[list(p) for p in orient(ring).exterior.coords]]}


def listing_target(
    start: datetime = START, end: datetime = END, region: Footprint = PATCH, more: str = ""
) -> str:
    quoted = json.dumps(polygon(region)).replace('"', "'")
    terms = [
        f'startTime >= "{start:%Y-%m-%dT%H:%M:%S.%fZ}"',
        f'endTime < "{end:%Y-%m-%dT%H:%M:%S.%fZ}"', f'intersects("{quoted}")',
    ]  # fmt: skip
    query = urlencode({"filter": " AND ".join([*terms, *([more] if more else [])])})
    return f"/v1/{ROOT}{COLLECTION}:listAssets?{query}"


def pixels_query(grid: Grid = GRID, bands: Sequence[str] = BANDS) -> dict[str, Any]:
    a, b, c, d, e, f = grid.transform
    return {
        "bandIds": list(bands),
        "grid": {
            "dimensions": {"width": grid.width_px, "height": grid.height_px},
            "affineTransform": {
                "scaleX": a, "shearX": b, "translateX": c,
                "shearY": d, "scaleY": e, "translateY": f,
            },
            "crsCode": grid.crs,
        },
    }  # fmt: skip


def pixels_target(image_id: str, collection: str = COLLECTION) -> str:
    return f"/v1/{ROOT}{collection}/{image_id}:getPixels"


def pixels_body(grid: Grid = GRID, bands: Sequence[str] = BANDS) -> bytes:
    return json.dumps({"fileFormat": "NPY", **pixels_query(grid, bands)}).encode()


def scenes(source: SimulatedSource = SOURCE) -> list[Scene]:
    found = source.list_scenes(PATCH, START, END)
    return sorted((s for s in found if s.epsg == GRID.epsg), key=lambda s: s.image_id)


def read_entry(entry: dict[str, Any]) -> Scene:
    ring = entry["geometry"]["coordinates"][0][:-1]
    return Scene(
        entry["properties"]["system:index"],
        datetime.fromisoformat(entry["startTime"]),
        entry["properties"]["CLOUDY_PIXEL_PERCENTAGE"],
        int(entry["bands"][0]["grid"]["crsCode"].removeprefix("EPSG:")),
        Footprint(tuple(p[0] for p in ring), tuple(p[1] for p in ring)),
        entry["properties"]["PROCESSING_BASELINE"],
    )
