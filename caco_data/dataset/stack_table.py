"""Positions of the stacks in the shards, as arrays, for reading tiles without the index."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from caco_data.dataset.arrays import ArrayFormat
from caco_data.dataset.layout import SUFFIX_BY_PIXEL_M
from caco_data.errors import DatasetError
from caco_data.types import PATCH_M, PERIODS

#: Maximum position in a shard, bytes.
MAX_OFFSET = 1 << 45


@dataclass(frozen=True)
class Members:
    """Positions of the members with the bands of one pixel size, for L locations."""

    bands: tuple[str, ...]
    """Names of the requested bands."""
    channels: tuple[int, ...]
    """Channels of these bands in the members."""
    shape: tuple[int, int, int, int]
    """Shape of a member: (T, C, H, W)."""
    offset: NDArray[np.int64]
    """(L, 2), bytes from the start of the shard to the early and the late member."""
    nbytes: NDArray[np.int64]
    """(L, 2), bytes of the members."""

    @property
    def suffix(self) -> Literal["", "20", "60"]:
        """Suffix of the members' names: the pixel size where it is not 10 m."""
        return SUFFIX_BY_PIXEL_M[PATCH_M // self.shape[3]]


@dataclass(frozen=True)
class StackTable:
    """Positions of the stacks of all L complete locations."""

    location_ids: NDArray[np.int64]
    """(L,), ascending."""
    paths: tuple[str, ...]
    """Paths or URLs of the shards."""
    shard: NDArray[np.int32]
    """(L,), index into `paths`."""
    members: tuple[Members, ...]
    """One per pixel size, the finest first."""
    dtype: np.dtype[Any]
    """uint16 (DN) or uint8 (DN / 10000 * 255)."""
    compressed: bool
    """Whether the members are `.npy.zst` rather than `.npy`."""

    def __post_init__(self) -> None:
        """Check the positions, which come from a file; DatasetError if they are impossible."""
        ids, arrays = self.location_ids, [a for m in self.members for a in (m.offset, m.nbytes)]
        whole = all(a.dtype.kind == "i" and a.shape == (len(ids), len(PERIODS)) for a in arrays)
        if (
            not whole
            or ids.dtype.kind != "i"
            or not (np.diff(ids) > 0).all()
            or not all(((a >= 0) & (a <= MAX_OFFSET)).all() for a in arrays)
            or not all((m.nbytes <= self.format(m).max_nbytes).all() for m in self.members)
        ):
            raise DatasetError(
                "The positions of the arrays are not those of the format",
                os.path.dirname(os.path.dirname(self.paths[0])) if self.paths else "",
                "Run 'caco-data verify'",
            )

    def format(self, member: Members) -> ArrayFormat:
        """Form of a member."""
        return ArrayFormat(member.shape, self.dtype, self.compressed)

    @property
    def bands(self) -> tuple[str, ...]:
        """Names of all bands, those with the finest pixels first."""
        return tuple(band for member in self.members for band in member.bands)
