"""Reading of patches with GDAL's own network access, for files without a TIFF's blocks.

The Copernicus Data Space has JPEG 2000 files in S3. One open and a few requests per read, which
are not shared between locations.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import RasterioError
from rasterio.windows import Window

from caco_data.errors import InputError, PermanentError, SourceError, TransientError
from caco_data.sources.limiter import Limiter
from caco_data.types import Grid

#: Settings of GDAL with which only the needed parts of a file are read.
OPTIONS = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "GDAL_INGESTED_BYTES_AT_OPEN": "32768",
    "GDAL_HTTP_MERGE_CONSECUTIVE_RANGES": "YES",
    "VSI_CACHE": "FALSE",
    "CPL_VSIL_CURL_NON_CACHED": "/vsicurl/:/vsis3/",  # failures would be remembered
}


class GdalReader:
    """Reads windows with rasterio; see `CogReader`.

    Parameters
    ----------
    limiter : Limiter
        Admits each read.
    deadline_s : float
        Timeout of each of GDAL's requests, seconds.
    options : mapping, optional
        Further settings of GDAL, such as an S3 endpoint.
    """

    def __init__(
        self, limiter: Limiter, deadline_s: float, options: Mapping[str, str] | None = None
    ) -> None:
        self._limiter = limiter
        self._options = {
            **OPTIONS, "GDAL_HTTP_TIMEOUT": f"{max(1, round(deadline_s))}", **(options or {})
        }  # fmt: skip

    def read(self, href: str, grid: Grid, pixel_m: int) -> NDArray[np.uint16]:
        """Read the pixels of a grid's area; see `CogReader.read`."""
        height, width = (n * grid.pixel_m // pixel_m for n in (grid.height_px, grid.width_px))
        try:
            with (
                self._limiter.request(),
                rasterio.Env(**self._options),
                rasterio.open(vsi_path(href)) as file,
            ):
                a, _, left, _, _, top = tuple(file.transform)[:6]
                epsg = (file.crs and file.crs.to_epsg()) or 0
                column, row = (grid.left_m - left) / pixel_m, (top - grid.top_m) / pixel_m
                if (epsg, a) != (grid.epsg, pixel_m) or column % 1 or row % 1:
                    raise PermanentError(
                        f"The file has pixels of {a:g} m in EPSG:{epsg}, not on the grid", href
                    )
                window = Window(round(column), round(row), width, height)
                pixels: NDArray[np.uint16] = file.read(
                    1, window=window, boundless=True, fill_value=0
                )
                return pixels.astype(np.uint16, copy=False)
        except RasterioError as error:
            raise _failure(str(error), href) from None


def vsi_path(href: str) -> str:
    """Return GDAL's path of an address."""
    if href.startswith("s3://"):
        return f"/vsis3/{href.removeprefix('s3://')}"
    return f"/vsicurl/{href}" if href.startswith("http") else href


def _failure(message: str, href: str) -> SourceError:
    """Return the exception for a message of GDAL, which has no status of its own."""
    match = re.search(r"(?:HTTP response code|HTTP error code)\s*:?\s*(\d{3})", message)
    status = int(match[1]) if match else 0
    if status in (404, 410):
        return PermanentError("The file does not exist", href)
    if status in (429, 503) or "slow" in message.lower():
        return TransientError(str(status), href, throttled=True)
    if status >= 500:
        return TransientError(str(status), href)
    return TransientError(f"file refused: {' '.join(message.split())[:200]}", href, uncertain=True)


def cdse_options() -> dict[str, str]:
    """Return GDAL's settings for the S3 store of the Copernicus Data Space.

    Raises
    ------
    InputError
        When the environment has no keys.
    """
    if not (os.environ.get("AWS_ACCESS_KEY_ID") and os.environ.get("AWS_SECRET_ACCESS_KEY")):
        raise InputError(
            "The files of the Copernicus Data Space need S3 keys",
            "--stac-url cdse",
            "Make keys at https://eodata-s3keysmanager.dataspace.copernicus.eu and set "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or use --stac-url earth-search",
        )
    return {
        "AWS_S3_ENDPOINT": "eodata.dataspace.copernicus.eu",
        "AWS_VIRTUAL_HOSTING": "FALSE",
        "AWS_HTTPS": "YES",
    }
