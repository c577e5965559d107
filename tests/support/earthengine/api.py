"""Responses of a small part of Earth Engine's REST API: discovery, listAssets, getPixels.

The images come from any `ImageSource`. Requests that would resample, and filters other than those
of caco-data, are rejected, so that no test relies on them by mistake. No sockets.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from caco_data.errors import PermanentError, RefusedError, TransientError
from caco_data.sentinel2 import SCL_BAND
from caco_data.sources.base import CloudScoreSource, ImageSource
from caco_data.sources.simulated.catalogue import find
from caco_data.sources.simulated.source import SimulatedSource
from caco_data.types import Grid, Scene
from tests.support.earthengine.entries import (
    BAND_PX,
    COLLECTION,
    ROOT,
    entry_basic,
    entry_fields,
    entry_full,
    parse_fields,
)
from tests.support.earthengine.messages import (
    ApiError,
    Request,
    Response,
    bad_request,
    not_found,
    parse_filter,
    parse_pixels,
)
from tests.support.flat_source import FlatSource, find_flat, flat_scene

T = TypeVar("T")

CLOUD_SCORE = "GOOGLE/CLOUD_SCORE_PLUS/V1/S2_HARMONIZED"
BANDS = {COLLECTION: tuple(BAND_PX), CLOUD_SCORE: ("cs", "cs_cdf")}

#: Maximum size of a getPixels response (Earth Engine guide, "Quotas").
MAX_BYTES = 48 * 1024 * 1024

_DTYPES = {SCL_BAND: "u1", "cs": "<f4", "cs_cdf": "<f4"}


def _client_file(name: str) -> Path:
    spec = find_spec("ee")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "tests" / name


@lru_cache(maxsize=1)
def algorithms() -> bytes:
    """Return the list of algorithms that comes with the client's tests."""
    return _client_file("algorithms.json").read_bytes()


@lru_cache(maxsize=4)
def discovery(url: str) -> bytes:
    """Return the discovery document that comes with the client's tests, updated to v1."""
    text = _client_file("cloud_api_discovery_document.json").read_text()
    document = json.loads(text.replace("v1alpha", "v1"))
    for name in ("rootUrl", "baseUrl", "mtlsRootUrl"):
        document[name] = url + "/"
    projects = document["resources"]["projects"]
    for resource in (projects, projects["resources"]["assets"]):
        for name in ("filter", "view"):
            resource["methods"]["listAssets"]["parameters"][name] = {
                "type": "string",
                "location": "query",
            }
    return json.dumps(document).encode()


class Api:
    """The API for a source; its methods may be called from several threads.

    An image that has not been listed is found by its id only in the simulated and flat sources.
    """

    def __init__(self, source: ImageSource, page_size: int) -> None:
        self._source = source
        self._page_size = page_size
        self._listed: dict[str, Scene] = {}

    def list_assets(self, request: Request) -> Response:
        """Return a page of a listing.

        Raises
        ------
        ApiError
            400 or 404.
        """
        if request.path != f"/v1/{ROOT}{COLLECTION}:listAssets":
            raise not_found(f"Asset '{request.path}'")
        scene_filter = parse_filter(request.query.get("filter", ""))
        view = request.query.get("view", "FULL")
        try:
            first = int(request.query.get("pageToken", 0))
            size = int(request.query.get("pageSize", 0)) or self._page_size
        except ValueError as error:
            raise bad_request(f"Invalid page: {error}") from None
        if view not in ("BASIC", "FULL") or first < 0 or size < 0:
            raise bad_request("Invalid view or page")
        scenes = _call_source(
            lambda: self._source.list_scenes(
                scene_filter.footprint, scene_filter.start, scene_filter.end
            )
        )
        # A source lists in no particular order; pages need one.
        scenes = sorted(filter(scene_filter.accepts, scenes), key=lambda scene: scene.image_id)
        self._listed.update((scene.image_id, scene) for scene in scenes)
        end = first + min(size, self._page_size)
        fields = request.query.get("fields")
        if fields and not parse_fields(fields).keys() >= {"assets", "nextPageToken"}:
            raise bad_request(
                "The test server supports `fields` with assets and nextPageToken only"
            )
        if fields:
            entries = ", ".join([entry_fields(scene, fields) for scene in scenes[first:end]])
        else:
            entry = entry_basic if view == "BASIC" else entry_full
            entries = ", ".join([entry(scene) for scene in scenes[first:end]])
        token = f', "nextPageToken": "{end}"' if end < len(scenes) else ""
        return Response(f'{{"assets": [{entries}]{token}}}'.encode())

    def get_pixels(self, request: Request) -> Response:
        """Return pixels as a NumPy file: a structured array (H, W) with one field per band.

        Raises
        ------
        ApiError
            400 or 404.
        """
        collection = request.path.removeprefix(f"/v1/{ROOT}").rpartition("/")[0]
        if collection not in BANDS:
            raise not_found(f"Asset '{request.path}'")
        scene = self._scene(request.image_id)
        bands, grid = parse_pixels(request.body)
        unknown = [band for band in bands if band not in BANDS[collection]]
        if unknown:
            raise bad_request(
                f"Image.select: Band pattern '{unknown[0]}' did not match any bands. "
                f"Available bands: [{', '.join(BANDS[collection])}]"
            )
        if not bands or len(set(bands)) < len(bands):
            raise bad_request(f"Bands {list(bands)} are none or repeated")
        dtype = np.dtype([(band, _DTYPES.get(band, "<u2")) for band in bands])
        nbytes = dtype.itemsize * grid.width_px * grid.height_px
        if nbytes > MAX_BYTES:
            raise bad_request(
                f"Total request size ({nbytes} bytes) must be less than or equal to "
                f"{MAX_BYTES} bytes."
            )
        if grid.epsg != scene.epsg:
            raise bad_request(f"The image is in EPSG:{scene.epsg}; no resampling here")
        return Response(self._npy(collection, scene, grid, dtype), 200, "application/octet-stream")

    def _npy(self, collection: str, scene: Scene, grid: Grid, dtype: np.dtype[np.void]) -> bytes:
        source, bands = self._source, dtype.names or ()
        if collection == CLOUD_SCORE:
            if not isinstance(source, CloudScoreSource):
                raise not_found(f"Image asset '{CLOUD_SCORE}/{scene.image_id}'")
            score = _call_source(lambda: source.read_cloud_score(scene, grid), absent=True)
            return npy([score] * len(bands), dtype)
        if isinstance(source, FlatSource):
            return _flat_npy(grid.height_px, grid.width_px, dtype)
        return npy(_call_source(lambda: source.read_tile(scene, grid, bands)), dtype)

    def _scene(self, image_id: str) -> Scene:
        if image_id in self._listed:
            return self._listed[image_id]
        source = self._source
        try:
            if isinstance(source, SimulatedSource):
                return find(source._seed, image_id).scene
            if isinstance(source, FlatSource):
                return find_flat(image_id)
        except PermanentError:
            pass
        raise not_found(f"Image asset '{image_id}'")


def _call_source(call: Callable[[], T], absent: bool = False) -> T:
    """Call the source and convert its exceptions into the service's errors."""
    try:
        return call()
    except PermanentError as error:
        raise (not_found if absent else bad_request)(str(error)) from None
    except RefusedError as error:
        raise ApiError(403, "PERMISSION_DENIED", "forbidden", str(error)) from None
    except TransientError as error:
        raise ApiError(503, "UNAVAILABLE", "backendError", str(error)) from None


def npy(layers: Iterable[NDArray[Any]], dtype: np.dtype[np.void]) -> bytes:
    """Encode layers (H, W), one per field, as a NumPy file of a structured array."""
    named = dict(zip(dtype.names or (), layers, strict=True))
    pixels = np.empty(next(iter(named.values())).shape, dtype)
    for name, layer in named.items():
        pixels[name] = layer
    buffer = io.BytesIO()
    np.save(buffer, pixels, allow_pickle=False)
    return buffer.getvalue()


@lru_cache(maxsize=64)
def _flat_npy(height_px: int, width_px: int, dtype: np.dtype[np.void]) -> bytes:
    """Encode the flat source's pixels, which are the same everywhere, once per shape."""
    grid = Grid(32631, 0, 0, width_px, height_px)
    return npy(FlatSource().read_tile(flat_scene(0, 32631), grid, dtype.names or ()), dtype)
