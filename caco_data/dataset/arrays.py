"""Array members of a shard: their shape, dtype, size, encoding and decoding.

An array is decoded only if its file has exactly the size of the declared shape and dtype, so that a
member cannot take more memory than the settings in dataset.json permit.
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caco_data.dataset.layout import member_shapes, stack_layout

#: Start of the array data in a `.npy` member (numpy's format 1.0, header padded to 64 bytes).
NPY_HEADER_BYTES = 128
ZSTD_LEVEL = 3


@dataclass(frozen=True)
class ArrayFormat:
    """Form of one array member."""

    shape: tuple[int, ...]
    """(T, C, H, W), or (T, H, W) for scene classes."""
    dtype: np.dtype[Any]
    """uint16 or uint8."""
    compressed: bool = False
    """Whether the file is `.npy.zst` rather than `.npy`."""

    @cached_property
    def header(self) -> bytes:
        """Header of the `.npy` file."""
        buffer = io.BytesIO()
        fields = {"descr": self.dtype.str, "fortran_order": False, "shape": self.shape}
        np.lib.format.write_array_header_1_0(buffer, fields)
        return buffer.getvalue()

    @property
    def nbytes(self) -> int:
        """Size of the uncompressed file."""
        return len(self.header) + math.prod(self.shape) * self.dtype.itemsize

    @property
    def max_nbytes(self) -> int:
        """Maximum size of the stored file; zstd makes random data slightly longer."""
        return self.nbytes + self.nbytes // 128 + 1024 if self.compressed else self.nbytes

    def __str__(self) -> str:
        """Describe the array, `uint16 array (5, 3, 264, 264)`."""
        return f"{self.dtype} array {self.shape}"

    def encode(self, array: NDArray[Any]) -> bytes:
        """Encode an array of this shape and dtype."""
        data = b"".join((self.header, np.ascontiguousarray(array, self.dtype).data))
        if not self.compressed:
            return data
        import zstandard

        return zstandard.ZstdCompressor(level=ZSTD_LEVEL).compress(data)

    def decode(self, data: bytes) -> NDArray[Any]:
        """Decode a stored file.

        Returns
        -------
        ndarray
            Read-only.

        Raises
        ------
        ValueError
            When it is not an array of this shape and dtype; nothing has been decompressed then.
        """
        if self.compressed:
            data = _decompress(data, self.nbytes)
        if len(data) != self.nbytes or not data.startswith(self.header):
            raise ValueError(f"not a {self}")
        array = np.frombuffer(data, self.dtype, offset=len(self.header))
        return array.reshape(self.shape)


def _decompress(data: bytes, nbytes: int) -> bytes:
    """Decompress one zstd frame of a known content size; ValueError for any other."""
    import zstandard

    try:
        declared = zstandard.get_frame_parameters(data).content_size
        if declared != nbytes:
            raise ValueError(f"the compressed member declares {declared} bytes instead of {nbytes}")
        decompressor = zstandard.ZstdDecompressor()
        found: bytes = decompressor.decompress(data, max_output_size=nbytes, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise ValueError(str(error)) from error
    return found


def member_formats(settings: Mapping[str, Any]) -> dict[str, ArrayFormat]:
    """Form of a location's array members by name (`early.npy`), in their order.

    Parameters
    ----------
    settings : mapping
        `bands`, `dtype` and `compress`, and what `layout_record` returns, as in dataset.json.
    """
    layout = stack_layout(settings)
    compressed = settings["compress"] != "none"
    ending = ".npy.zst" if compressed else ".npy"
    return {
        f"{period}{suffix}{ending}": ArrayFormat(
            shape, np.dtype("uint8" if suffix == "_scl" else settings["dtype"]), compressed
        )
        for period in layout.periods
        for suffix, shape in member_shapes(settings["bands"], layout).items()
    }
