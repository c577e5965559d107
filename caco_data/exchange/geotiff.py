"""GeoTIFF files: one with all bands per tile, or the authors' folders with one per band."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caco_data.dataset.reader import Dataset
from caco_data.dataset.tiles import (
    TileRow,
    pixel_size_m,
    read_tiles,
    tile_rows,
)
from caco_data.errors import InputError
from caco_data.sentinel2 import SCL_BAND


@contextmanager
def new_folder(path: Path) -> Iterator[Path | None]:
    """A folder that gets its name once the block ends without an error; None if it exists.

    What an interrupted export left of it is removed.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    if path.exists():
        yield None
        return
    temporary.mkdir(parents=True)
    try:
        yield temporary
        temporary.rename(path)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def folder_name(location_id: int) -> str:
    """Folder of a location, as the keys of the shards."""
    return f"{location_id:09d}"


def tile_name(row: TileRow) -> str:
    """File name of a tile without suffix, `early_0_20190105`."""
    return f"{row.period}_{row.t}_{row.acquired:%Y%m%d}"


def export_geotiff(dataset: Dataset, out: Path, location_id: int) -> None:
    """Write one GeoTIFF per tile to the folder of a location, unless that exists.

    Bands in the order of `--bands`, then the scene classification `SCL`, on the finest grid; names,
    wavelengths and scales in the bands' metadata; date, scene and clouds in the file's tags.
    """
    with new_folder(out / folder_name(location_id)) as folder:
        if folder is None:
            return
        rows = tile_rows(dataset, location_id)
        for period in dataset.layout.periods:
            tiles = read_tiles(dataset, location_id, period)
            scl = dataset.read_member(location_id, period, "_scl")
            step = tiles.shape[-1] / scl.shape[-1]
            for row in (one for one in rows if one.period == period):
                classes = _resized(scl[row.t], step)
                pixels = np.concatenate([tiles[row.t], classes[None].astype(tiles.dtype)])
                names = (*dataset.bands, SCL_BAND)
                path = folder / f"{tile_name(row)}.tif"
                write_geotiff(path, pixels, names, row, dataset.layout.patch_px)


def _resized(classes: NDArray[Any], step: float) -> NDArray[Any]:
    """Scene classes on another grid: repeated, or every n-th pixel."""
    if step >= 1:
        return classes.repeat(int(step), axis=0).repeat(int(step), axis=1)
    stride = round(1 / step)
    if classes.shape[0] % stride:  # 132 pixels to 44: every third one
        raise ValueError(f"no grid of 1/{stride}")
    return classes[::stride, ::stride]


def export_caco(dataset: Dataset, out: Path, location_id: int) -> None:
    """Write the authors' layout, LOCATION/SCENE/B4.tif, each band at its native pixel size."""
    with new_folder(out / folder_name(location_id)) as folder:
        if folder is None:
            return
        rows = tile_rows(dataset, location_id)
        if len({scene_folder(row) for row in rows}) < len(rows):
            raise InputError(
                f"Several tiles of location {location_id} are of one scene, which has one folder",
                str(out),
                "Export another --format",
            )
        for suffix, names in dataset.member_bands.items():
            for period in dataset.layout.periods:
                tiles = dataset.read_member(location_id, period, suffix)
                for row in (one for one in rows if one.period == period):
                    for i, name in enumerate(names):
                        path = folder / scene_folder(row) / f"{name}.tif"
                        band = tiles[row.t, i : i + 1]
                        write_geotiff(path, band, (name,), row, dataset.layout.patch_px)


def scene_folder(row: TileRow) -> str:
    """Folder of a scene: its id, which begins with the date."""
    stamp = f"{row.acquired:%Y%m%dT%H%M%S}"
    return row.image_id if row.image_id[:8] == stamp[:8] else f"{stamp}_{row.t}_{row.image_id}"


def write_geotiff(
    path: Path, pixels: NDArray[Any], names: Sequence[str], row: TileRow, patch_px: int
) -> None:
    """Write pixels (C, H, W) that cover the patch of a tile."""
    import rasterio
    from rasterio.transform import Affine

    from caco_data.sentinel2 import CENTRE_NM

    step = pixel_size_m(pixels, patch_px)
    scale = 1 / 255 if pixels.dtype == np.uint8 else 1 / 10000
    path.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        with rasterio.open(
            path, "w", driver="GTiff", count=len(pixels), height=pixels.shape[1],
            width=pixels.shape[2], dtype=pixels.dtype, crs=row.crs,
            transform=Affine(step, 0, row.transform[2], 0, -step, row.transform[5]),
            compress="deflate", predictor=2, interleave="band",
        ) as file:  # fmt: skip
            file.write(pixels)
            file.descriptions = tuple(names)
            file.scales = tuple(1.0 if name == SCL_BAND else scale for name in names)
            file.update_tags(
                TIFFTAG_DATETIME=f"{row.acquired:%Y:%m:%d %H:%M:%S}",
                acquired=row.acquired.isoformat(), image_id=row.image_id, period=row.period,
                t=row.t, cloud_pct=row.cloud_pct, clear_fraction=row.clear_fraction,
                cloud_mask=row.cloud_mask,
            )  # fmt: skip
            for i, name in enumerate(names, start=1):
                if name in CENTRE_NM:
                    file.update_tags(i, wavelength_nm=CENTRE_NM[name])
