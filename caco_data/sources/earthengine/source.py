"""Earth Engine through its own client: one listing a period, one pixel request a tile.

The client (earthengine-api) stays as it is; it is given a transport of ours, and its retries are
off, because ours honour Retry-After and are counted. Its state belongs to the process and does not
travel: every worker process opens the source for itself.
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
#: What of a listing's entries is wanted: all their bands' grids are most of their bytes.
LISTED = "nextPageToken,assets(id,startTime,geometry,properties,bands/grid/crsCode)"

#: Words about quotas that no waiting of minutes will refill: a day's, a month's.
_EXHAUSTED = re.compile(r"per (day|month)|daily ?limit|monthly|quotaExceeded", re.IGNORECASE)
_RATE_REASONS = ("rateLimitExceeded", "userRateLimitExceeded")
_reading_header = threading.Lock()
_LATER = "Run the same command again when there is quota; what is finished is kept"
_ACCESS = "Check --project and its access to Earth Engine; 'caco-data doctor' tells more"


class EarthEngineSource:
    """The initialised client; its methods may be called from many threads."""

    _opening = threading.Lock()
    _current: tuple[object, ...] = ()

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
            raise InputError("Not an address", url, "Give --ee-url as https://HOST")
        found = find_credentials(url, key_file)
        with self._opening:
            # Initialised once more, the client would not ask whether it may.
            ee.Reset()
            # Otherwise Initialize reads a catalogue from the internet, without a deadline.
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
            EarthEngineSource._current = self._settings

    def _ask(self, call: Callable[[], T]) -> T:
        if EarthEngineSource._current != self._settings:
            raise RefusedError(
                "Another run has opened Earth Engine with other settings in this process",
                "",
                "Give each run workers of its own",
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
            "fields": LISTED,
            "filter": f"properties.CLOUDY_PIXEL_PERCENTAGE <= {max_cloud_pct!r}",
        }
        listing = self._ask(lambda: ee.data.listImages(query))
        return [scene for image in listing["images"] or () if (scene := scene_of(image))]

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
        pixels = self._ask(lambda: _array(ee.data.getPixels(query)))
        if pixels.shape != (grid.height_px, grid.width_px):
            raise TransientError("wrong shape", f"{scene.image_id}: {pixels.shape}")
        missing = set(bands) - set(pixels.dtype.names or ())
        if missing:
            raise TransientError("missing band", f"{scene.image_id}: {', '.join(sorted(missing))}")
        return pixels


def _array(npy: bytes) -> NDArray[np.void]:
    """Look at a `.npy` file as its array; ValueError when it is not whole.

    `np.load` would copy it twice over.
    """
    start = 10 + int.from_bytes(npy[8:10], "little")  # "NPY format", version 1.0
    shape, dtype = _shape_and_dtype(npy[:start])
    return np.frombuffer(npy, dtype, offset=start).reshape(shape)


@lru_cache(maxsize=64)
def _shape_and_dtype(header: bytes) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Read the header of a `.npy` file, which is the same for nearly every tile of a run.

    NumPy reads it with `ast`, which in Python 3.11 fails now and then when two threads
    are in it at once ("AST constructor recursion depth mismatch"): hence the lock.
    """
    file = io.BytesIO(header)
    np.lib.format.read_magic(file)
    with _reading_header:
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    return shape, dtype


def _call(call: Callable[[], T]) -> T:
    """Call the client, its failures turned into the kinds of `caco_data.errors`."""
    try:
        return call()
    except (SourceError, InputError):
        raise
    except HttpError as error:  # while the client is initialised
        raise _kind(error.resp, error.content, error.reason) from None
    except ee.EEException as error:
        # The client keeps nothing of a refusal but its words; the rest hangs on the context.
        answer = error.__context__
        if not isinstance(answer, HttpError):  # it was no refusal, but not JSON either
            raise TransientError("corrupt body", str(error)[:100]) from None
        raise _kind(answer.resp, answer.content, str(error)) from None
    except AuthTransportError:
        raise TransientError("connection", "asking for a token") from None
    except GoogleAuthError:
        # Not the error's own words: they may quote a token.
        raise RefusedError("Earth Engine refuses the credentials", "", EXPIRED) from None
    except (ValueError, EOFError, ApiError) as error:
        # Neither an array nor JSON: a proxy's HTML page, a body cut off.
        raise TransientError("corrupt body", type(error).__name__) from None
    except (ConnectionError, TimeoutError) as error:
        raise TransientError("connection", str(error)) from None


def _kind(answer: Any, content: bytes, words: str) -> SourceError:
    """Classify a refused request by its HTTP answer."""
    status = int(answer.get("status", 0))
    reason = _reason(content)
    if status in (403, 429) and _EXHAUSTED.search(f"{reason} {words}"):
        return RefusedError(f"Earth Engine's quota is used up: {words}", "", _LATER)
    if status == 429 or (status == 403 and reason in _RATE_REASONS):
        return TransientError(
            str(status), words, retry_after_s=_seconds(answer.get("retry-after")), throttled=True
        )
    if status >= 500 or status == 408:
        return TransientError(str(status), words, retry_after_s=_seconds(answer.get("retry-after")))
    if status == 401:
        return RefusedError("Earth Engine refuses the credentials", "", EXPIRED)
    if status == 403:
        return RefusedError(f"Earth Engine refuses: {words}", "", _ACCESS)
    return PermanentError(f"Earth Engine: {words}", f"HTTP {status}" if status else "")


def _reason(content: bytes) -> str:
    """Read the reason from Google's error JSON, `rateLimitExceeded`; empty when there is none."""
    try:
        return str(json.loads(content)["error"]["errors"][0]["reason"])
    except (ValueError, LookupError, TypeError):
        return ""


def _seconds(retry_after: str | None) -> float | None:
    """Read Retry-After; None when it is absent or a date."""
    try:
        return max(0.0, float(retry_after)) if retry_after else None
    except ValueError:
        return None


def scene_of(image: dict[str, Any]) -> Scene | None:
    """Read a scene from its listing entry; None when the entry lacks what a tile needs."""
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
    """Read a GeoJSON footprint; of several parts the one with the most vertices."""
    parts: list[Any] = geometry["coordinates"]
    if geometry["type"] == "LinearRing":
        rings = [parts]
    elif geometry["type"] == "MultiPolygon":
        rings = [polygon[0] for polygon in parts]
    else:
        rings = parts[:1]
    ring = max(rings, key=len)[:-1]
    longitudes, latitudes = zip(*ring, strict=True)
    if max(longitudes) - min(longitudes) > 180:  # it meets the antimeridian
        longitudes = tuple(np.unwrap(longitudes, period=360.0).tolist())
    return Footprint(longitudes, latitudes)
