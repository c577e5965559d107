"""Earth Engine's requests and responses: parsing and formatting for `api.py`."""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import numpy as np
import shapely

from caco_data.sentinel2 import PIXEL_M
from caco_data.types import Footprint, Grid, Scene

#: Maximum side of a getPixels grid (Earth Engine guide, "Quotas").
MAX_SIDE_PX = 32_768

_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le, "<": operator.lt, ">=": operator.ge, ">": operator.gt, "=": operator.eq,
}  # fmt: skip
_START = re.compile(r'startTime >= "([^"]+)"')
_END = re.compile(r'endTime < "([^"]+)"')
_REGION = re.compile(r'intersects\("([^"]+)"\)')
_TAG = re.compile(r"[a-z0-9]([-_a-z0-9]{0,61}[a-z0-9])?")
_CLOUDS = re.compile(r"properties\.CLOUDY_PIXEL_PERCENTAGE\s*(<=|<|>=|>|=)\s*([-+.\deE]+)")


@dataclass(frozen=True, slots=True)
class Request:
    """A request."""

    kind: str
    """`discovery`, `algorithms`, `listAssets`, `getPixels`, `token` or `unknown`."""
    path: str
    query: Mapping[str, str]
    body: bytes
    headers: Mapping[str, str]
    """Names in lower case."""
    key: bytes
    """Identifies repetitions of the same request."""

    @classmethod
    def of(cls, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Request:
        """Parse a request; the client sends a long GET as a POST with the query in the body."""
        parts = urlsplit(target)
        path, query = unquote(parts.path), parts.query
        key = target.encode() + b"\n" + body
        if headers.get("x-http-method-override") == "GET":
            # The client leaves the page token in the address.
            method, query, body = "GET", f"{body.decode()}&{query}", b""
        return cls(_kind(method, path), path, dict(parse_qsl(query)), body, headers, key)

    @property
    def image_id(self) -> str:
        """Last part of the asset's name, without the method."""
        return self.path.rsplit("/", 1)[-1].rsplit(":", 1)[0]

    @property
    def projects(self) -> set[str]:
        """Cloud projects named in the request."""
        named = re.fullmatch(r"/v1/projects/([^/]+)/algorithms", self.path)
        return {self.headers.get("x-goog-user-project", ""), named[1] if named else ""} - {""}


def _kind(method: str, path: str) -> str:
    if method == "GET" and path == "/$discovery/rest":
        return "discovery"
    if method == "GET" and re.fullmatch(r"/v1/projects/[^/]+/algorithms", path):
        return "algorithms"
    if method == "GET" and path.endswith(":listAssets"):
        return "listAssets"
    if method == "POST" and path.endswith(":getPixels"):
        return "getPixels"
    if method == "POST" and path == "/token":
        return "token"
    return "unknown"


@dataclass(frozen=True, slots=True)
class Response:
    """A response before it is sent."""

    body: bytes
    status: int = 200
    content_type: str = "application/json; charset=UTF-8"
    headers: tuple[tuple[str, str], ...] = ()


class ApiError(Exception):
    """A request that the service would reject."""

    def __init__(self, status: int, name: str, reason: str, message: str) -> None:
        super().__init__(message)
        self.response = error_response(status, name, reason, message)


def error_response(status: int, name: str, reason: str, message: str) -> Response:
    """Return an error in Google's JSON format."""
    details = [{"message": message, "domain": "global", "reason": reason}]
    error = {"code": status, "message": message, "status": name, "errors": details}
    return Response(json.dumps({"error": error}, indent=2).encode(), status)


def bad_request(message: str) -> ApiError:
    """Return an error 400."""
    return ApiError(400, "INVALID_ARGUMENT", "badRequest", message)


def not_found(what: str) -> ApiError:
    """Return the service's error for a missing asset."""
    message = f"{what} not found (does not exist or caller does not have access)."
    return ApiError(404, "NOT_FOUND", "notFound", message)


@dataclass(frozen=True, slots=True)
class SceneFilter:
    """The filter of a listing."""

    footprint: Footprint
    start: datetime
    end: datetime
    clouds: tuple[tuple[str, float], ...]
    """Operators and operands for the scene's cloud cover; all must hold."""

    def accepts(self, scene: Scene) -> bool:
        """Return whether a scene's cloud cover passes the filter."""
        return all(_OPERATORS[name](scene.cloud_pct, value) for name, value in self.clouds)


def parse_filter(text: str) -> SceneFilter:
    """Parse a filter: terms joined by AND, in any order.

    Raises
    ------
    ApiError
        400 for an unknown term, or when a time or the region is missing.
    """
    found: dict[str, Any] = {}
    clouds = []
    try:
        for term in re.split(r"\s+AND\s+", text.strip()):
            if match := _START.fullmatch(term):
                found["start"] = _time(match[1])
            elif match := _END.fullmatch(term):
                found["end"] = _time(match[1])
            elif match := _REGION.fullmatch(term):
                found["footprint"] = _region(json.loads(match[1].replace("'", '"')))
            elif match := _CLOUDS.fullmatch(term):
                clouds.append((match[1], float(match[2])))
            else:
                raise bad_request(f"Invalid filter term: {term}")
        return SceneFilter(found["footprint"], found["start"], found["end"], tuple(clouds))
    except KeyError as missing:
        raise bad_request(f"The test server requires a filter with {missing}") from None
    except (ValueError, TypeError, LookupError) as error:
        raise bad_request(f"Invalid filter: {error}") from None


def _time(text: str) -> datetime:
    time = datetime.fromisoformat(text)
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _region(geometry: dict[str, Any]) -> Footprint:
    """Parse a Polygon, or a MultiPolygon of the two parts of a region across the antimeridian.

    The service may take a clockwise ring for the rest of the globe, and longitudes beyond 180
    degrees for another place; both are rejected here.
    """
    match geometry["type"], geometry["coordinates"]:
        case "Polygon", [ring]:
            return _ring(ring)
        case "MultiPolygon", [[first], [second]]:
            return _joined(_ring(first), _ring(second))
    raise ValueError("the region is not a polygon without holes")


def _ring(ring: list[list[float]]) -> Footprint:
    lon, lat = map(np.array, zip(*ring, strict=True))
    if ring[-1] != ring[0]:
        raise ValueError("the region's ring is not closed")
    if np.abs(lon).max() > 180 or np.abs(lat).max() > 90:
        raise ValueError("the region is not within -180..180 and -90..90 degrees")
    x, y = lon - lon[0], lat - lat[0]
    if np.dot(x[:-1], y[1:]) <= np.dot(x[1:], y[:-1]):
        raise ValueError("the region's ring is not counter-clockwise")
    return Footprint(tuple(lon[:-1].tolist()), tuple(lat[:-1].tolist()))


def _joined(first: Footprint, second: Footprint) -> Footprint:
    parts = []
    for part in (first, second):
        lon = np.where(np.array(part.longitudes) < 0, 360.0, 0.0) + part.longitudes
        parts.append(shapely.Polygon(np.column_stack([lon, part.latitudes])))
    # Closes the gap that rounding of the shift leaves.
    whole = shapely.union_all(parts, grid_size=1e-9).simplify(1e-9)
    if not isinstance(whole, shapely.Polygon):
        raise ValueError("the region's parts do not meet at the antimeridian")
    lon, lat = np.array(whole.exterior.coords[:-1]).T
    return Footprint(tuple(lon.tolist()), tuple(lat.tolist()))


def workload_tag(request: Request) -> str:
    """Return the workload tag of a pixel request; empty without one."""
    try:
        return str(json.loads(request.body)["workloadTag"])
    except (ValueError, LookupError, TypeError):
        return ""


def parse_pixels(body: bytes) -> tuple[tuple[str, ...], Grid]:
    """Parse bands and grid of a getPixels request.

    Raises
    ------
    ApiError
        400 for invalid requests, and for a grid to which the service would resample.
    """
    try:
        query = json.loads(body)
        if not _TAG.fullmatch(query.get("workloadTag", "x")):
            raise bad_request(f"Invalid workload tag: {query['workloadTag']}")
        if query["fileFormat"] != "NPY":
            raise bad_request(f"Only NPY is supported here, not {query['fileFormat']}")
        bands = tuple(map(str, query["bandIds"]))
        size, affine = query["grid"]["dimensions"], query["grid"]["affineTransform"]
        width, height = int(size["width"]), int(size["height"])
        # Zeros may be omitted, as in all messages of the service.
        a, b, c, d, e, f = (
            float(affine.get(name, 0.0))
            for name in ("scaleX", "shearX", "translateX", "shearY", "scaleY", "translateY")
        )
        crs = str(query["grid"]["crsCode"])
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise bad_request(f"Invalid JSON payload: {error!r}") from None
    if not (0 < width <= MAX_SIDE_PX and 0 < height <= MAX_SIDE_PX):
        raise bad_request(f"Invalid grid dimensions: {width} x {height}")
    match = re.fullmatch(r"EPSG:(32[67]\d\d)", crs)
    if match is None:
        raise bad_request(f"Only UTM zones are supported here, not {crs}")
    if (a, b, d, e) != (PIXEL_M, 0, 0, -PIXEL_M) or not (c.is_integer() and f.is_integer()):
        raise bad_request(
            f"Only {PIXEL_M} m pixels, north up, on whole metres are supported here: {affine}"
        )
    return bands, Grid(int(match[1]), int(c), int(f), width, height)
