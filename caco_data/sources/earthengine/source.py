"""Earth Engine through its own client: one listing per period, one pixel request per tile.

The client (earthengine-api) is used unmodified, with the transport of `transport.py` and without
its retries, because those of `sources/retry.py` honour Retry-After and are counted. Its state is
global to the process and cannot be pickled: every worker process opens the source itself.
"""

from __future__ import annotations

import io
import json
import re
import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, TypeVar
from urllib.parse import urlsplit

import ee
import numpy as np
from google.auth.exceptions import GoogleAuthError
from google.auth.exceptions import TransportError as AuthTransportError
from googleapiclient.errors import Error as ApiError
from googleapiclient.errors import HttpError
from numpy.typing import NDArray

from caco_data.errors import InputError, PermanentError, RefusedError, SourceError, TransientError
from caco_data.sources.earthengine.credentials import EXPIRED, find_credentials, find_project
from caco_data.sources.earthengine.endpoint import COLLECTION
from caco_data.sources.earthengine.transport import Transport
from caco_data.sources.limiter import Limiter
from caco_data.types import Footprint, Grid, Scene

T = TypeVar("T")

#: Same `system:index` as the images (Earth Engine catalogue, "Cloud Score+ S2_HARMONIZED").
CLOUD_SCORE_COLLECTION = "GOOGLE/CLOUD_SCORE_PLUS/V1/S2_HARMONIZED"
CLOUD_SCORE_BAND = "cs_cdf"
#: Fields requested in a listing; the grids of all bands would take most of its bytes.
LISTING_FIELDS = "nextPageToken,assets(id,startTime,geometry,properties,bands/grid/crsCode)"

#: Messages about daily and monthly quotas: retries within minutes are useless.
_QUOTA_USED_UP = re.compile(r"per (day|month)|daily ?limit|monthly|quotaExceeded", re.IGNORECASE)
_RATE_REASONS = ("rateLimitExceeded", "userRateLimitExceeded")
_HEADER_LOCK = threading.Lock()
_QUOTA_REMEDY = "Run the same command again when quota is available; finished work is kept"
_ACCESS_REMEDY = "Check --project and its access to Earth Engine, or run 'caco-data doctor'"


class EarthEngineSource:
    """The initialised client; its methods may be called from several threads."""

    _init_lock = threading.Lock()
    _initialised_with: tuple[object, ...] = ()
    """Settings of the client of this process, which has global state."""

    def __init__(
        self,
        url: str,
        project: str | None,
        key_file: str | None,
        deadline_s: float,
        limiter: Limiter,
    ) -> None:
        self._settings = (url, project, key_file, deadline_s)
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise InputError("Not a valid address", url, "Pass --ee-url as https://HOST")
        found = find_credentials(url, key_file)
        with self._init_lock:
            # Without a reset, a second initialisation skips the permission check.
            ee.Reset()
            # Prevents Initialize from downloading a catalogue, which it does without a deadline.
            vars(ee.deprecation)["deprecated_assets"] = {"_offline": None}
            ee.data.setMaxRetries(0)
            _call(
                lambda: ee.Initialize(
                    credentials=found.credentials,
                    url=url.rstrip("/"),
                    project=find_project(project, found),
                    http_transport=Transport(url, deadline_s, limiter),
                )
            )
            EarthEngineSource._initialised_with = self._settings

    def _request(self, call: Callable[[], T]) -> T:
        if EarthEngineSource._initialised_with != self._settings:
            raise RefusedError(
                "Another run has opened Earth Engine with other settings in this process",
                "",
                "Use separate workers for each run",
            )
        return _call(call)

    def list_scenes(
        self, footprint: Footprint, start: datetime, end: datetime, max_cloud_pct: float = 100.0
    ) -> list[Scene]:
        """List the scenes that touch a footprint; see `ImageSource.list_scenes`."""
        ring = [list(xy) for xy in zip(footprint.longitudes, footprint.latitudes, strict=True)]
        query = {
            "parent": COLLECTION,
            "startTime": f"{start:%Y-%m-%dT%H:%M:%S.%fZ}",
            "endTime": f"{end:%Y-%m-%dT%H:%M:%S.%fZ}",
            "region": {"type": "Polygon", "coordinates": [[*ring, ring[0]]]},
            "fields": LISTING_FIELDS,
            "filter": f"properties.CLOUDY_PIXEL_PERCENTAGE <= {max_cloud_pct!r}",
        }
        listing = self._request(lambda: ee.data.listImages(query))
        return [scene for image in listing["images"] or () if (scene := parse_scene(image))]

    def read_tile(self, scene: Scene, grid: Grid, bands: Sequence[str]) -> NDArray[np.uint16]:
        """Read a scene on a grid in its CRS; see `ImageSource.read_tile`."""
        pixels = self._pixels(COLLECTION, scene, grid, bands)
        tile = np.empty((len(bands), grid.height_px, grid.width_px), np.uint16)
        for band, layer in zip(bands, tile, strict=True):
            layer[:] = pixels[band]
        return tile

    def read_cloud_score(self, scene: Scene, grid: Grid) -> NDArray[np.float32]:
        """Read Cloud Score+; see `CloudScoreSource.read_cloud_score`."""
        pixels = self._pixels(CLOUD_SCORE_COLLECTION, scene, grid, [CLOUD_SCORE_BAND])
        return np.asarray(pixels[CLOUD_SCORE_BAND], dtype=np.float32)

    def _pixels(
        self, collection: str, scene: Scene, grid: Grid, bands: Sequence[str]
    ) -> NDArray[np.void]:
        """Read bands as a structured array (H, W), nearest neighbour; masked pixels are 0."""
        a, b, c, d, e, f = grid.transform
        query = {
            "assetId": f"{collection}/{scene.image_id}",
            "fileFormat": "NPY",
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
        pixels = self._request(lambda: read_npy(ee.data.getPixels(query)))
        if pixels.shape != (grid.height_px, grid.width_px):
            raise TransientError("wrong shape", f"{scene.image_id}: {pixels.shape}")
        missing = set(bands) - set(pixels.dtype.names or ())
        if missing:
            raise TransientError("missing band", f"{scene.image_id}: {', '.join(sorted(missing))}")
        return pixels


def read_npy(npy: bytes) -> NDArray[np.void]:
    """Return the array of a `.npy` file without a copy; `np.load` would copy it twice.

    Raises
    ------
    ValueError
        When the file is incomplete.
    """
    start = 10 + int.from_bytes(npy[8:10], "little")  # "NPY format", version 1.0
    shape, dtype = _shape_and_dtype(npy[:start])
    return np.frombuffer(npy, dtype, offset=start).reshape(shape)


@lru_cache(maxsize=64)
def _shape_and_dtype(header: bytes) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Read the header of a `.npy` file, which is the same for almost every tile of a run.

    The lock is needed because NumPy parses it with `ast`, which in Python 3.11 sometimes fails in
    concurrent threads ("AST constructor recursion depth mismatch").
    """
    file = io.BytesIO(header)
    np.lib.format.read_magic(file)
    with _HEADER_LOCK:
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    return shape, dtype


def _call(call: Callable[[], T]) -> T:
    """Call the client and convert its exceptions into those of `caco_data.errors`."""
    try:
        return call()
    except (SourceError, InputError):
        raise
    except HttpError as error:  # while the client is initialised
        raise _http_error(error.resp, error.content, error.reason) from None
    except ee.EEException as error:
        # The client's error has only the message; the HTTP response is in `__context__`.
        cause = error.__context__
        if not isinstance(cause, HttpError):  # the body was not JSON
            raise TransientError("corrupt body", str(error)[:100]) from None
        raise _http_error(cause.resp, cause.content, str(error)) from None
    except AuthTransportError:
        raise TransientError("connection", "asking for a token") from None
    except GoogleAuthError:
        # The original message is not repeated: it may quote a token.
        raise RefusedError("Earth Engine rejects the credentials", "", EXPIRED) from None
    except (AttributeError, ValueError, EOFError, ApiError) as error:
        # Neither an array nor JSON: an HTML page of a proxy, or a truncated body.
        # Older clients raise AttributeError for a body that is not JSON.
        raise TransientError("corrupt body", type(error).__name__) from None
    except (ConnectionError, TimeoutError) as error:
        raise TransientError("connection", str(error)) from None


def _http_error(response: Any, content: bytes, message: str) -> SourceError:
    """Return the exception for an HTTP error response."""
    status = int(response.get("status", 0))
    reason = _reason(content)
    if status in (403, 429) and _QUOTA_USED_UP.search(f"{reason} {message}"):
        return RefusedError(f"Earth Engine's quota is used up: {message}", "", _QUOTA_REMEDY)
    if status == 429 or (status == 403 and reason in _RATE_REASONS):
        return TransientError(
            str(status),
            message,
            retry_after_s=_seconds(response.get("retry-after")),
            throttled=True,
        )
    if status >= 500 or status == 408:
        return TransientError(
            str(status), message, retry_after_s=_seconds(response.get("retry-after"))
        )
    if status == 401:
        return RefusedError("Earth Engine rejects the credentials", "", EXPIRED)
    if status == 403:
        return RefusedError(f"Earth Engine denies access: {message}", "", _ACCESS_REMEDY)
    return PermanentError(f"Earth Engine: {message}", f"HTTP {status}" if status else "")


def _reason(content: bytes) -> str:
    """Return the reason in Google's error JSON, such as `rateLimitExceeded`; or an empty string."""
    try:
        return str(json.loads(content)["error"]["errors"][0]["reason"])
    except (ValueError, LookupError, TypeError):
        return ""


def _seconds(retry_after: str | None) -> float | None:
    """Return the seconds in a Retry-After header; None when it is absent or a date."""
    try:
        return max(0.0, float(retry_after)) if retry_after else None
    except ValueError:
        return None


def parse_scene(image: dict[str, Any]) -> Scene | None:
    """Read a scene from its listing entry; None when a required field is missing or invalid."""
    try:
        properties = image["properties"]
        return Scene(
            image_id=image["id"].rsplit("/", 1)[-1],
            acquired=datetime.fromisoformat(image["startTime"]),
            cloud_pct=float(properties["CLOUDY_PIXEL_PERCENTAGE"]),
            epsg=int(image["bands"][0]["grid"]["crsCode"].removeprefix("EPSG:")),
            footprint=_footprint(image["geometry"]),
            baseline=str(properties.get("PROCESSING_BASELINE", "")),
        )
    except (LookupError, ValueError, TypeError):
        return None


def _footprint(geometry: dict[str, Any]) -> Footprint:
    """Read a GeoJSON geometry: its part with the most vertices."""
    parts: list[Any] = geometry["coordinates"]
    if geometry["type"] == "LinearRing":
        rings = [parts]
    elif geometry["type"] == "MultiPolygon":
        rings = [polygon[0] for polygon in parts]
    else:
        rings = parts[:1]
    ring = max(rings, key=len)[:-1]
    longitudes, latitudes = zip(*ring, strict=True)
    if max(longitudes) - min(longitudes) > 180:  # it crosses the antimeridian
        longitudes = tuple(np.unwrap(longitudes, period=360.0).tolist())
    return Footprint(longitudes, latitudes)
