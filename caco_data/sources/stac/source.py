"""Sentinel-2 L2A from a STAC API: listings per tile and year, pixels from GeoTIFFs.

Values are those of Earth Engine's harmonised collection (`offsets.py`); scenes are one per
acquisition (`merging.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from caco_data.errors import InconsistentError, PermanentError
from caco_data.sentinel2 import BAND_PIXEL_M, PIXEL_M, SCL_BAND, SCL_PIXEL_M
from caco_data.sources.limiter import Limiter
from caco_data.sources.stac.catalogue_file import CatalogueFile
from caco_data.sources.stac.cog import BlockReader, CogReader
from caco_data.sources.stac.disk_cache import DiskCache
from caco_data.sources.stac.gdal_reader import GdalReader, cdse_options
from caco_data.sources.stac.items import Candidate, Item
from caco_data.sources.stac.listings import Listings
from caco_data.sources.stac.merging import merge
from caco_data.sources.stac.mgrs import Area, cell_with, squares_with
from caco_data.sources.stac.offsets import check_offset, without_offset
from caco_data.sources.stac.presets import Preset
from caco_data.sources.stac.search import StacApi
from caco_data.sources.stac.signing import TokenSigner
from caco_data.sources.stac.web import FileServer, Web
from caco_data.types import Footprint, Grid, Scene


class Catalogue(Protocol):
    """Items by area and year; may be used from several threads."""

    @property
    def knows_tiles(self) -> bool:
        """Whether items can be found by the name of a tile."""
        ...

    def items(self, area: Area, year: int) -> list[Item]:
        """Return the trimmed items of an area and a year."""
        ...


class StacSource:
    """An opened API; its methods may be called from several threads.

    Parameters
    ----------
    preset : Preset
        Service and collections.
    deadline_s : float
        Timeout of a request, seconds.
    limiter : Limiter
        Admits each request.
    catalog : str, optional
        File with the items, instead of those of the API.
    shared_folder : Path, optional
        Folder for listings and blocks of files that other processes read, too.

    Raises
    ------
    InputError
        When the address is not that of a STAC API, the catalogue cannot be read, or a required key
        is missing.
    TransientError
        When the API cannot be reached.
    """

    def __init__(
        self,
        preset: Preset,
        deadline_s: float,
        limiter: Limiter,
        catalog: str | None = None,
        shared_folder: Path | None = None,
    ) -> None:
        self._preset = preset
        web = Web(deadline_s, limiter)
        disk = DiskCache(shared_folder)
        blocks = DiskCache(shared_folder, only_useful=True)
        self._reader: CogReader
        if preset.jpeg2000:
            self._reader = GdalReader(limiter, deadline_s, cdse_options())
        else:
            signer = TokenSigner(web, preset.token_url) if preset.token_url else None
            self._reader = BlockReader(FileServer(web, signer), blocks)
        catalogue: Catalogue
        if catalog:
            catalogue = CatalogueFile(catalog)
            self._listings = Listings(catalogue.items)
        else:
            catalogue = StacApi(preset, web, limiter)
            catalogue.open()
            service = f"{preset.url} {','.join(preset.collections)}"
            self._listings = Listings(catalogue.items, disk, service)
        self._by_tile = catalogue.knows_tiles

    def list_scenes(
        self, footprint: Footprint, start: datetime, end: datetime, max_cloud_pct: float = 100.0
    ) -> list[Scene]:
        """List the scenes of the tiles that contain a footprint; see `ImageSource.list_scenes`."""
        found: list[Candidate] = []
        areas: Sequence[Area]
        areas = squares_with(footprint) if self._by_tile else [cell_with(footprint)]
        for area in areas:
            for year in range(start.year, end.year + 1):
                found += [
                    one
                    for one in self._listings.candidates(area, year)
                    if start <= one.scene.acquired < end and one.scene.acquired.year == year
                ]
        return merge(found, footprint, self._preset.collections, max_cloud_pct)

    def expecting(
        self, tiles: Iterable[tuple[Scene, Grid]], bands: Sequence[str]
    ) -> AbstractContextManager[None]:
        """Announce reads; see `PlannedSource.expecting`."""
        if not isinstance(self._reader, BlockReader):
            return nullcontext()
        return self._reader.expecting(
            (href, (grid, _pixel_m(band)))
            for scene, grid in tiles
            for band, href in scene.files
            if band in bands
        )

    def read_tile(self, scene: Scene, grid: Grid, bands: Sequence[str]) -> NDArray[np.uint16]:
        """Read a scene on a grid in its CRS; see `ImageSource.read_tile`.

        Raises
        ------
        InconsistentError
            When the scene's pixels contradict its metadata.
        """
        if scene.offset_dn is None:
            raise InconsistentError(
                "Neither a flag nor a baseline tells whether an offset was added to the DN",
                scene.image_id,
            )
        layers = {band: self._layer(scene, grid, band) for band in bands}
        if SCL_BAND in layers:
            check_offset(layers, layers[SCL_BAND], scene.offset_dn, scene.image_id)
        return np.stack(
            [
                layers[band] if band == SCL_BAND else without_offset(layers[band], scene.offset_dn)
                for band in bands
            ]
        )

    def read_scene_classes(self, scene: Scene, grid: Grid) -> NDArray[np.uint8]:
        """Read the scene classes at 20 m; see `SceneClassSource.read_scene_classes`."""
        return self._native(scene, grid, SCL_BAND).astype(np.uint8)

    def describe_file(self, scene: Scene, band: str) -> str:
        """Read the header of a band's file, and describe it in a few words.

        Raises
        ------
        TransientError, PermanentError
            When it cannot be read.
        """
        href = self._href(scene, band)
        if not isinstance(self._reader, BlockReader):
            return "JPEG 2000, whose header GDAL reads together with the pixels"
        header = self._reader.header(href)
        return (
            f"{header.dtype}, {header.width} x {header.height} pixels of {header.pixel_m:g} m in "
            f"blocks of {header.block}"
        )

    def _layer(self, scene: Scene, grid: Grid, band: str) -> NDArray[np.uint16]:
        """Read a band on the 10 m grid, as in the file."""
        native = self._native(scene, grid, band)
        step = _pixel_m(band) // PIXEL_M
        return native if step == 1 else native.repeat(step, axis=0).repeat(step, axis=1)

    def _native(self, scene: Scene, grid: Grid, band: str) -> NDArray[np.uint16]:
        return self._reader.read(self._href(scene, band), grid, _pixel_m(band))

    def _href(self, scene: Scene, band: str) -> str:
        href = dict(scene.files).get(band)
        if href is None:
            raise PermanentError(f"No file of band '{band}'", scene.image_id)
        return href


def _pixel_m(band: str) -> int:
    """Return the native pixel size of a band that has a file."""
    return SCL_PIXEL_M if band == SCL_BAND else BAND_PIXEL_M[band]
