"""The folder layout of the released CACo, SeCo and SSL4EO-S12 sets: LOCATION/SCENE/B4.tif."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from caco_data.sentinel2 import BAND_PIXEL_M, PIXEL_M
from caco_data.types import PATCH_PX, TILES

Layout = Literal["caco", "seco"]
_DATE = re.compile(r"(\d{8})(?:T(\d{6}))?")


class LocationError(Exception):
    """A location that cannot be imported; the message states the reason."""

    def __init__(self, detail: str, incomplete: bool = False) -> None:
        super().__init__(detail)
        self.incomplete = incomplete
        """Whether scenes are missing, rather than unreadable."""


@dataclass(frozen=True)
class SceneFolder:
    """A scene of a location."""

    path: Path
    acquired: datetime
    """UTC; midnight where only the day is known."""
    cloud_pct: float | None
    """Cloud cover of the whole scene, 0..100; None if unknown."""


class ScenePixels(NamedTuple):
    """Pixels of a scene and their position."""

    pixels: NDArray[Any]
    """(C, 264, 264)."""
    crs: str | None
    """Authority string, `EPSG:4326`; None without georeference."""
    transform: tuple[float, ...] | None
    """Affine coefficients in rasterio's order."""


def list_locations(root: Path) -> list[Path]:
    """Folders of the locations, sorted: those with folders of scenes."""
    return sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))


def list_scenes(location: Path) -> list[SceneFolder]:
    """Scenes of a location, the oldest first.

    Raises
    ------
    LocationError
        When a scene has no date.
    """
    scenes = []
    for path in sorted(p for p in location.iterdir() if p.is_dir()):
        properties = _properties(path)
        match = _DATE.match(path.name)
        millis = properties.get("system:time_start")
        if match:
            text = match[1] + (match[2] or "000000")
            try:
                acquired = datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=UTC)
            except ValueError as error:
                raise LocationError(f"{path.name} does not begin with a date") from error
        elif isinstance(millis, (int, float)):
            acquired = datetime.fromtimestamp(millis / 1000, UTC)
        else:
            raise LocationError(f"{path.name} does not begin with a date")
        cloud = properties.get("CLOUDY_PIXEL_PERCENTAGE")
        scenes.append(SceneFolder(path, acquired, None if cloud is None else float(cloud)))
    return sorted(scenes, key=lambda scene: (scene.acquired, scene.path.name))


def _properties(path: Path) -> dict[str, Any]:
    """Properties in the scene's metadata.json; empty without a readable one."""
    try:
        found = json.loads((path / "metadata.json").read_text())
        properties: dict[str, Any] = found.get("properties", {})
        return properties
    except (OSError, ValueError, AttributeError):
        return {}


def choose_scenes(
    scenes: Sequence[SceneFolder], layout: Layout
) -> tuple[Sequence[SceneFolder], Sequence[SceneFolder]]:
    """Scenes of the early and of the late period.

    caco: the oldest five and the newest five. seco: there is one period of five scenes, the newest
    ones, which is used for both.

    Raises
    ------
    LocationError
        When there are too few scenes.
    """
    wanted = 2 * TILES if layout == "caco" else TILES
    if len(scenes) < wanted:
        raise LocationError(f"{len(scenes)} scenes instead of {wanted}", incomplete=True)
    late = scenes[-TILES:]
    return (scenes[:TILES] if layout == "caco" else late), late


def band_file(scene: Path, band: str) -> Path:
    """File of a band, `B4.tif` or `B04.tif`.

    Raises
    ------
    LocationError
        When there is none.
    """
    for name in (f"{band}.tif", f"B0{band[1:]}.tif", f"{band}.tiff"):
        if (scene / name).is_file():
            return scene / name
    raise LocationError(f"{scene.name} has no {band}.tif", incomplete=True)


def read_scene(scene: Path, bands: Sequence[str]) -> ScenePixels:
    """Read the bands of a scene.

    Raises
    ------
    LocationError
        When a file is missing, cannot be read, or has another size or type.
    """
    import rasterio

    layers, crs, transform = [], None, None
    for band in bands:
        path = band_file(scene, band)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
                with rasterio.open(path) as file:
                    layer = file.read(1)
                    epsg = file.crs.to_epsg() if file.crs else None
                    step = round(PATCH_PX / max(layer.shape[0], 1))
                    if epsg and crs is None and step == 1:
                        crs, transform = f"EPSG:{epsg}", tuple(file.transform)[:6]
        except (rasterio.errors.RasterioError, OSError) as error:
            where = f"{scene.name}/{path.name}"
            raise LocationError(f"{where}: {str(error).splitlines()[0]}") from error
        layers.append(_on_grid(layer, band, f"{scene.name}/{path.name}"))
    types = {layer.dtype for layer in layers}
    if len(types) > 1:
        raise LocationError(f"{scene.name} has files of different types")
    return ScenePixels(np.stack(layers), crs, transform)


def _on_grid(layer: NDArray[Any], band: str, where: str) -> NDArray[Any]:
    """Pixels of a band on the 10 m grid."""
    side = PATCH_PX * PIXEL_M // BAND_PIXEL_M[band]
    if layer.dtype not in (np.uint8, np.uint16):
        raise LocationError(f"{where} has the type {layer.dtype} instead of uint8 or uint16")
    if layer.shape == (PATCH_PX, PATCH_PX):
        return layer
    if layer.shape == (side, side):
        step = PATCH_PX // side
        return layer.repeat(step, axis=0).repeat(step, axis=1)
    height, width = layer.shape
    raise LocationError(f"{where} has {width} x {height} pixels instead of {side} x {side}")
