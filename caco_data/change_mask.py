"""Change masks of a simulated archive as text, for JSON files and Parquet tables."""

from __future__ import annotations

import base64
import zlib

import numpy as np
from numpy.typing import NDArray

from caco_data.types import PATCH_PX


def encode_mask(mask: NDArray[np.uint8]) -> str:
    """Compress a mask, (H, W), with zlib and encode it in base64; about 1 kB of text."""
    return base64.b64encode(zlib.compress(np.ascontiguousarray(mask).tobytes())).decode()


def decode_mask(text: str, patch_px: int = PATCH_PX) -> NDArray[np.uint8]:
    """Decode a mask of a patch with a side of `patch_px` pixels.

    Returns
    -------
    ndarray of uint8, shape (patch_px, patch_px)
        Kind of permanent change (`caco_data.sources.simulated.change_kinds.ChangeKind`); 0 where
        nothing changed.

    Raises
    ------
    ValueError
        When the text is not a mask of this size; at most that size is decompressed.
    """
    size = patch_px * patch_px
    try:
        stream = zlib.decompressobj()
        data = stream.decompress(base64.b64decode(text, validate=True), size + 1)
    except (zlib.error, ValueError) as error:
        raise ValueError(f"not a compressed change mask: {error}") from error
    if len(data) != size:
        raise ValueError(f"the change mask does not have {patch_px} x {patch_px} pixels")
    return np.frombuffer(data, np.uint8).reshape(patch_px, patch_px)
