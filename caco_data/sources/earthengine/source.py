"""Earth Engine through its own client: one listing per period, one pixel request per tile.

The client (earthengine-api) is used unmodified, with the transport of `transport.py` and without
its retries, because those of `sources/retry.py` honour Retry-After and are counted. Its state is
global to the process and cannot be pickled: every worker process opens the source itself.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, TypeVar

import ee
import numpy as np
from numpy.typing import NDArray

from caco_data.errors import InputError, PermanentError, RefusedError, TransientError
from caco_data.sources.earthengine.authorisation import AuthorisedTransport
from caco_data.sources.earthengine.credentials import find_credentials, find_project
from caco_data.sources.earthengine.endpoint import COLLECTION, check_address
from caco_data.sources.earthengine.failures import call_client
from caco_data.sources.earthengine.listing import listing_query, read_listing
from caco_data.sources.earthengine.pixels import pixels_query, read_npy, strips, to_dn
from caco_data.sources.earthengine.quiet import silence_libraries
from caco_data.sources.earthengine.transport import Transport
from caco_data.sources.http_client import host_of
from caco_data.sources.limiter import Limiter
from caco_data.types import Footprint, Grid, Scene

T = TypeVar("T")

#: Same `system:index` as the images (Earth Engine catalogue, "Cloud Score+ S2_HARMONIZED").
CLOUD_SCORE_COLLECTION = "GOOGLE/CLOUD_SCORE_PLUS/V1/S2_HARMONIZED"
CLOUD_SCORE_BAND = "cs_cdf"


def _keep_resources() -> None:
    """Let the client use the same objects for its REST resources in all calls.

    By default it builds a Python function from each method of a resource on every call.
    """
    get_state = getattr(ee.data, "_get_state", None)
    if get_state is None:  # an older client, which is only slower
        return
    state = get_state()
    for api in (state.cloud_api_resource, state.cloud_api_resource_raw):
        projects = api.projects()
        assets = projects.assets()
        projects.assets = lambda assets=assets: assets
        api.projects = lambda projects=projects: projects


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
        silence_libraries()
        check_address(url)
        found = find_credentials(url, key_file)
        transport = AuthorisedTransport(Transport(url, deadline_s, limiter), found, url, deadline_s)
        with self._init_lock:
            # Without a reset, a second initialisation skips the permission check.
            ee.Reset()
            # Prevents Initialize from downloading a catalogue, which it does without a deadline.
            vars(ee.deprecation)["deprecated_assets"] = {"_offline": None}
            ee.data.setMaxRetries(0)
            try:
                call_client(
                    lambda: ee.Initialize(
                        credentials=None,  # the transport adds the token
                        url=url.rstrip("/"),
                        project=find_project(project, found).id,
                        http_transport=transport,
                    )
                )
            except PermanentError as error:
                where = ", ".join(filter(None, (host_of(url), error.where)))
                raise InputError(error.what, where, "Check --ee-url") from error
            _keep_resources()
            EarthEngineSource._initialised_with = self._settings

    def _request(self, call: Callable[[], T]) -> T:
        if EarthEngineSource._initialised_with != self._settings:
            raise RefusedError(
                "Another run has opened Earth Engine with other settings in this process",
                "",
                "Use separate workers for each run",
            )
        return call_client(call)

    def list_scenes(
        self, footprint: Footprint, start: datetime, end: datetime, max_cloud_pct: float = 100.0
    ) -> list[Scene]:
        """List the scenes that touch a footprint; see `ImageSource.list_scenes`."""
        query = listing_query(footprint, start, end, max_cloud_pct)

        def read_page(token: str) -> dict[str, Any]:
            page = {"pageToken": token} if token else {}
            return self._request(lambda: ee.data.listImages(query | page))

        return read_listing(read_page)

    def read_tile(self, scene: Scene, grid: Grid, bands: Sequence[str]) -> NDArray[np.uint16]:
        """Read a scene on a grid in its CRS; see `ImageSource.read_tile`."""
        tile = np.empty((len(bands), grid.height_px, grid.width_px), np.uint16)
        first = 0
        for strip in strips(grid, len(bands)):
            pixels = self._pixels(COLLECTION, scene, strip, bands)
            rows = slice(first, first + strip.height_px)
            for band, layer in zip(bands, tile, strict=True):
                layer[rows] = to_dn(pixels[band], band)
            first = rows.stop
        return tile

    def read_cloud_score(self, scene: Scene, grid: Grid) -> NDArray[np.float32]:
        """Read Cloud Score+; see `CloudScoreSource.read_cloud_score`."""
        pixels = self._pixels(CLOUD_SCORE_COLLECTION, scene, grid, [CLOUD_SCORE_BAND])
        return np.asarray(pixels[CLOUD_SCORE_BAND], dtype=np.float32)

    def pixel_types(self, scene: Scene, grid: Grid, bands: Sequence[str]) -> dict[str, str]:
        """Return the NumPy data type of each band as the service sends it, such as `uint16`."""
        pixels = self._pixels(COLLECTION, scene, grid, bands)
        return {band: pixels.dtype[band].name for band in bands}

    def _pixels(
        self, collection: str, scene: Scene, grid: Grid, bands: Sequence[str]
    ) -> NDArray[np.void]:
        """Read bands as a structured array (H, W), nearest neighbour; masked pixels are 0."""
        query = pixels_query(f"{collection}/{scene.image_id}", grid, bands)
        pixels = self._request(lambda: read_npy(ee.data.getPixels(query)))
        if pixels.shape != (grid.height_px, grid.width_px):
            raise TransientError("wrong shape", f"{scene.image_id}: {pixels.shape}")
        missing = set(bands) - set(pixels.dtype.names or ())
        if missing:
            raise TransientError("missing band", f"{scene.image_id}: {', '.join(sorted(missing))}")
        return pixels
