"""Positions of the stacks in the shards, as arrays, for reading tiles without the index."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from caco_data.dataset.layout import SUFFIX_BY_PIXEL_M
from caco_data.types import PATCH_M


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

    @property
    def bands(self) -> tuple[str, ...]:
        """Names of all bands, those with the finest pixels first."""
        return tuple(band for member in self.members for band in member.bands)
