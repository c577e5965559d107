"""The header of a cloud-optimised GeoTIFF: position, blocks, compression."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import RasterioError
from rasterio.io import MemoryFile

#: TIFF codes of the compressions that GDAL writes without loss.
_COMPRESSIONS = {None: 1, "LZW": 5, "DEFLATE": 8, "LZMA": 34925, "ZSTD": 50000}


@dataclass(frozen=True, slots=True)
class CogHeader:
    """What is needed to read pixels of the full resolution."""

    epsg: int
    """EPSG code of the CRS; 0 when it has none."""
    left_m: float
    """Easting of the left edge, metres."""
    top_m: float
    """Northing of the upper edge, metres."""
    pixel_m: float
    """Side of a pixel, metres."""
    width: int
    height: int
    block: int
    """Side of a block, pixels."""
    dtype: str
    """`uint8` or `uint16`."""
    compression: int
    """TIFF code."""
    predictor: int
    """1: none, 2: horizontal differences."""
    little_endian: bool
    offsets: NDArray[np.int64]
    """Position of each block in the file, (rows, columns); 0 for a block without data."""
    nbytes: NDArray[np.int64]
    """Length of each block in the file."""


def parse_header(data: bytes) -> CogHeader:
    """Parse the beginning of a file.

    Raises
    ------
    ValueError
        When it is not a tiled GeoTIFF with north up, or the header is longer.
    """
    try:
        with rasterio.Env(CPL_LOG_ERRORS="OFF"), MemoryFile(data) as memory, memory.open() as file:
            a, b, left, d, e, top = tuple(file.transform)[:6]
            structure = file.tags(ns="IMAGE_STRUCTURE")
            (side, across) = file.block_shapes[0]
            dtype = file.dtypes[0]
            compression = _COMPRESSIONS.get(structure.get("COMPRESSION"))
            if b or d or a != -e or side != across or file.count != 1 or compression is None:
                raise ValueError("not a tiled GeoTIFF with one band, north up")
            if dtype not in ("uint8", "uint16"):
                raise ValueError(f"pixels of the type {dtype}")
            rows, columns = -(-file.height // side), -(-file.width // side)
            blocks = np.array(
                [
                    [
                        int(file.get_tag_item(f"BLOCK_{what}_{x}_{y}", "TIFF", bidx=1) or 0)
                        for x in range(columns)
                    ]
                    for what in ("OFFSET", "SIZE")
                    for y in range(rows)
                ],
                dtype=np.int64,
            ).reshape(2, rows, columns)
            return CogHeader(
                int((file.crs and file.crs.to_epsg()) or 0),
                left, top, a, file.width, file.height, side, dtype, compression,
                int(structure.get("PREDICTOR", 1)), data[:2] == b"II", *blocks,
            )  # fmt: skip
    except RasterioError as error:
        raise ValueError(f"not a GeoTIFF: {error}") from error


def decode_block(header: CogHeader, data: bytes) -> NDArray[np.uint16]:
    """Decode one block with GDAL, as a TIFF that contains this block only.

    Raises
    ------
    ValueError
        When the block is damaged.
    """
    try:
        with (
            rasterio.Env(CPL_LOG_ERRORS="OFF"),
            MemoryFile(_one_block(header, data)) as memory,
            memory.open() as file,
        ):
            pixels: NDArray[np.uint16] = file.read(1)
            return pixels.astype(np.uint16, copy=False)
    except RasterioError as error:
        raise ValueError(f"damaged block: {error}") from error


def _one_block(header: CogHeader, data: bytes) -> bytes:
    """Return a TIFF of one block (TIFF 6.0, sections 2 and 15).

    It has a position, because rasterio warns about files without one.
    """
    side, bits = header.block, 8 * np.dtype(header.dtype).itemsize
    numbers = {
        256: side, 257: side, 258: bits, 259: header.compression, 262: 1, 277: 1,
        317: header.predictor, 322: side, 323: side, 324: 0, 325: len(data), 339: 1,
    }  # fmt: skip
    order = "<" if header.little_endian else ">"
    scale = struct.pack(f"{order}3d", 1, 1, 0)
    tie = struct.pack(f"{order}6d", 0, 0, 0, 1, 1, 0)
    place = 8 + 2 + 12 * (len(numbers) + 2) + 4
    numbers[324] = place + len(scale) + len(tie)
    entries = [(tag, 4, 1, value) for tag, value in numbers.items()]
    entries += [(33550, 12, 3, place), (33922, 12, 6, place + len(scale))]
    return b"".join(
        (
            struct.pack(f"{order}2sHI", b"II" if header.little_endian else b"MM", 42, 8),
            struct.pack(f"{order}H", len(entries)),
            *(struct.pack(f"{order}HHII", *entry) for entry in sorted(entries)),
            *(bytes(4), scale, tie, data),
        )
    )
