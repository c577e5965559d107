"""VRT files whose raw bands point into the shards: GDAL reads the tiles without a copy."""

from __future__ import annotations

import os
from pathlib import Path
from xml.etree import ElementTree as ET

from caco_data.dataset.arrays import NPY_HEADER_BYTES
from caco_data.dataset.layout import COLUMN_PREFIX, SHARDS, SUFFIX_BY_PIXEL_M
from caco_data.dataset.reader import Dataset
from caco_data.dataset.tiles import tile_rows
from caco_data.errors import InputError
from caco_data.exchange.geotiff import folder_name, new_folder, tile_name
from caco_data.storage import LocalStorage

#: Native pixel sizes of the members, metres.
_PIXEL_M: dict[str, int] = {suffix: pixel_m for pixel_m, suffix in SUFFIX_BY_PIXEL_M.items()}
_TYPES = {"uint8": ("Byte", 1), "uint16": ("UInt16", 2)}


def check_vrt(dataset: Dataset) -> None:
    """Raise InputError when the arrays of a data set are not raw bytes of a local file."""
    if dataset.compressed:
        raise InputError(
            "VRT files cannot point to compressed arrays", dataset.root, "Use --format geotiff"
        )
    if not isinstance(dataset.storage, LocalStorage):
        raise InputError("VRT files need a local data set", dataset.root, "Use --format geotiff")


def export_vrt(dataset: Dataset, out: Path, location_id: int) -> None:
    """Write one VRT per tile and pixel size to the folder of a location, unless that exists."""
    with new_folder(out / folder_name(location_id)) as folder:
        if folder is None:
            return
        positions = dataset.index.of([location_id]).to_pylist()
        for row, position in zip(tile_rows(dataset, location_id), positions, strict=True):
            shard = Path(dataset.root) / SHARDS / position["shard"]
            for suffix, names in dataset.member_bands.items():
                side = dataset.layout.patch_m // _PIXEL_M[suffix]
                start = position[COLUMN_PREFIX[suffix] + "offset"] + NPY_HEADER_BYTES
                root = _raster(side, _PIXEL_M[suffix], row.crs, row.transform)
                ET.SubElement(root, "Metadata").extend(_metadata(row.acquired.isoformat()))
                for i, name in enumerate(names):
                    kind, size = _TYPES[dataset.meta["settings"]["dtype"]]
                    plane = side**2 * size
                    offset = start + (row.t * len(names) + i) * plane
                    path = os.path.abspath(shard)
                    _band(root, i + 1, name, kind, size, side, path, offset)
                ending = f"_{suffix}m" if suffix else ""
                ET.indent(root)
                ET.ElementTree(root).write(folder / f"{tile_name(row)}{ending}.vrt")


def _raster(side: int, step: int, crs: str, transform: tuple[float, ...]) -> ET.Element:
    root = ET.Element("VRTDataset", rasterXSize=str(side), rasterYSize=str(side))
    ET.SubElement(root, "SRS", dataAxisToSRSAxisMapping="1,2").text = crs
    origin = f"{transform[2]}, {step}, 0, {transform[5]}, 0, {-step}"
    ET.SubElement(root, "GeoTransform").text = origin
    return root


def _metadata(acquired: str) -> list[ET.Element]:
    item = ET.Element("MDI", key="acquired")
    item.text = acquired
    return [item]


def _band(
    root: ET.Element, number: int, name: str, kind: str, size: int, side: int, shard: str,
    offset: int,
) -> None:  # fmt: skip
    band = ET.SubElement(
        root, "VRTRasterBand", dataType=kind, band=str(number), subClass="VRTRawRasterBand"
    )
    scale = 1 / 255 if size == 1 else 1 / 10000
    values = {
        "Description": name, "Scale": repr(scale), "ImageOffset": str(offset),
        "PixelOffset": str(size), "LineOffset": str(size * side), "ByteOrder": "LSB",
    }  # fmt: skip
    ET.SubElement(band, "SourceFilename", relativeToVRT="0").text = shard
    for key, text in values.items():
        ET.SubElement(band, key).text = text
