"""Positions of the stacks in the shards, as arrays, for reading tiles without the index."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from caco_data.dataset.arrays import ArrayFormat
from caco_data.dataset.index import Index
from caco_data.dataset.layout import COLUMN_PREFIX, INDEX, SUFFIX_BY_PIXEL_M, bands_by_pixel
from caco_data.errors import DatasetError
from caco_data.sentinel2 import PIXEL_M
from caco_data.types import StackLayout

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
    """(L, P), bytes from the start of the shard to the member of each of P periods."""
    nbytes: NDArray[np.int64]
    """(L, P), bytes of the members."""
    pixel_m: int = PIXEL_M
    """Native pixel size, metres."""

    @property
    def suffix(self) -> Literal["", "20", "60"]:
        """Suffix of the members' names: the pixel size where it is not 10 m."""
        return SUFFIX_BY_PIXEL_M[self.pixel_m]


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
    layout: StackLayout = field(default_factory=StackLayout)
    """Periods, tiles per period and size of the patches."""

    def __post_init__(self) -> None:
        """Check the positions, which come from a file; DatasetError if they are impossible."""
        periods = len(self.layout.periods)
        ids, arrays = self.location_ids, [a for m in self.members for a in (m.offset, m.nbytes)]
        whole = all(a.dtype.kind == "i" and a.shape == (len(ids), periods) for a in arrays)
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


def read_stacks(
    index: Index,
    path_of: Callable[[str], str],
    stored: tuple[str, ...],
    wanted: Collection[str],
    dtype: str,
    compressed: bool,
) -> StackTable:
    """Read the positions of all stacks from the index of a data set.

    Parameters
    ----------
    index : Index
        Not empty.
    path_of : callable
        Path or URL of a shard by its file name.
    stored : tuple of str
        All bands of the data set.
    wanted : collection of str
        The bands to read.
    dtype : str
        `uint16` or `uint8`.
    compressed : bool
        Whether the members are compressed with zstd.
    """
    layout, periods = index.layout, len(index.layout.periods)
    groups = {
        pixel_m: bands
        for pixel_m, bands in bands_by_pixel(stored).items()
        if not set(wanted).isdisjoint(bands)
    }
    prefixes = [COLUMN_PREFIX[SUFFIX_BY_PIXEL_M[pixel_m]] for pixel_m in groups]
    names = [prefix + name for prefix in prefixes for name in ("offset", "nbytes")]
    found: dict[str, list[NDArray[np.int64]]] = {name: [] for name in ["location_id", *names]}
    shards: list[NDArray[np.int32]] = []
    number_of: dict[str, int] = {}
    for part in index.parts(["t", "shard", *found]):
        first = part.filter(pc.equal(part["t"], 0))  # one row per period
        for name, values in found.items():
            values.append(first[name].to_numpy())
        if first["shard"].null_count:
            where = f"{index.storage.root}/{INDEX}"
            raise DatasetError("A row without a shard", where, "Run 'caco-data verify'")
        shard = first["shard"].combine_chunks().dictionary_encode()
        numbers = [number_of.setdefault(x, len(number_of)) for x in shard.dictionary.to_pylist()]
        shards.append(np.array(numbers, np.int32)[shard.indices.to_numpy()])
    columns = {name: np.concatenate(values) for name, values in found.items()}
    if columns["location_id"].size * layout.tiles != index.num_rows:
        where = f"{index.storage.root}/{INDEX}"
        raise DatasetError(f"Not {layout.rows} rows per location", where, "Run 'caco-data verify'")
    members = []
    for prefix, (pixel_m, bands) in zip(prefixes, groups.items(), strict=True):
        here = tuple(band for band in bands if band in wanted)
        side = layout.patch_m // pixel_m
        members.append(
            Members(
                bands=here,
                channels=tuple(bands.index(band) for band in here),
                shape=(layout.tiles, len(bands), side, side),
                offset=columns[f"{prefix}offset"].reshape(-1, periods),
                nbytes=columns[f"{prefix}nbytes"].reshape(-1, periods),
                pixel_m=pixel_m,
            )
        )
    return StackTable(
        location_ids=columns["location_id"][::periods],
        paths=tuple(map(path_of, number_of)),
        shard=np.concatenate(shards)[::periods],
        members=tuple(members),
        dtype=np.dtype(dtype),
        compressed=compressed,
        layout=layout,
    )
