"""The shard format: a plain tar in the WebDataset convention with `.npy` members.

Each location is a sequence of members with one key; locations are in order::

    000000123.early.npy       uint16 DN (5, C, 264, 264): the 10 m bands
    000000123.early20.npy     (5, C20, 132, 132): the 20 m bands, if requested
    000000123.early60.npy     (5, C60, 44, 44): the 60 m bands, if requested
    000000123.early_scl.npy   uint8 (5, 132, 132): scene classes
    000000123.late.npy        ... likewise; members are called after their period
    000000123.json            the location's index rows

The tar can be streamed (webdataset, Hugging Face datasets, DALI), or a member read at its offset.
`--dtype uint8` stores DN / 10000 * 255; `--compress zstd` adds `.zst` to the names of the arrays.
Needs numpy and pyarrow only, and zstandard for compressed arrays.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import IO, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from caco_data.dataset.arrays import ArrayFormat, member_formats
from caco_data.dataset.index_files import renamed
from caco_data.dataset.layout import (
    COLUMN_PREFIX,
    INDEX_SCHEMA,
    SUFFIX_BY_PIXEL_M,
    MemberSuffix,
    bands_by_pixel,
    layout_record,
    member_name,
)
from caco_data.dataset.scan import JSON, Entry, scan_shard
from caco_data.errors import DatasetError
from caco_data.sentinel2 import PIXEL_M
from caco_data.types import Compress, Dtype, LocationStacks, Stack, StackLayout

#: One row of the index as JSON values, by column.
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Record:
    """One encoded location."""

    location_id: int
    arrays: dict[str, bytes]
    """Encoded members by name without the key (`early.npy`), in the order of the shard."""
    rows: tuple[Row, ...]
    """Index rows; `shard` and the offsets are set when the record is written to a shard."""

    @classmethod
    def of(cls, entry: Entry, check: bool = True) -> Record:
        """Make a record of an entry; ValueError if an array does not match its digest."""
        try:
            rows = [renamed(row) for row in json.loads(entry.json)]
            if check:
                check_digests(rows, entry.arrays)
        except (KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError("the json member does not contain index rows") from error
        return cls(entry.location_id, entry.arrays, tuple(rows))


def to_uint8(dn: NDArray[np.uint16]) -> NDArray[np.uint8]:
    """Convert DN to the released data set's 8 bits: DN / 10000 * 255, rounded, at most 255."""
    scaled = np.rint(dn.astype(np.float32) * np.float32(255 / 10000))
    eight: NDArray[np.uint8] = np.minimum(scaled, 255).astype(np.uint8)
    return eight


def _stack_arrays(
    stack: Stack, bands: tuple[str, ...], dtype: Dtype
) -> dict[MemberSuffix, NDArray[Any]]:
    """Arrays of one period by member suffix, bands at their native pixel size."""
    dn = np.stack([tile.pixels for tile in stack.tiles])  # (T, C, H, W) at 10 m
    pixels: NDArray[Any] = to_uint8(dn) if dtype == "uint8" else dn
    arrays: dict[MemberSuffix, NDArray[Any]] = {}
    for pixel_m, group in bands_by_pixel(bands).items():
        step = pixel_m // PIXEL_M
        channels = [bands.index(band) for band in group]
        arrays[SUFFIX_BY_PIXEL_M[pixel_m]] = pixels[:, channels, ::step, ::step]
    arrays["_scl"] = np.stack([tile.scl for tile in stack.tiles])
    return arrays


def encode(stacks: LocationStacks, dtype: Dtype = "uint16", compress: Compress = "none") -> Record:
    """Encode a location's stacks as the members and index rows of a shard."""
    layout = StackLayout(
        tuple(stack.period for stack in stacks.stacks),
        len(stacks.stacks[0].tiles),
        stacks.grid.width_px,
    )
    settings = {"bands": stacks.bands, "dtype": dtype, "compress": compress}
    formats = member_formats(settings | layout_record(layout))
    ending = ".npy" if compress == "none" else ".npy.zst"
    arrays: dict[str, bytes] = {}
    rows: list[Row] = []
    for stack in stacks.stacks:
        period, position = stack.period, dict[str, Any]()
        for suffix, array in _stack_arrays(stack, stacks.bands, dtype).items():
            name = f"{period}{suffix}{ending}"
            data = arrays[name] = formats[name].encode(array)
            prefix = COLUMN_PREFIX[suffix]
            position[prefix + "nbytes"] = len(data)
            position[prefix + "sha256"] = hashlib.sha256(data).hexdigest()
        for t, tile in enumerate(stack.tiles):
            row = dict.fromkeys(INDEX_SCHEMA.names) | {
                "location_id": stacks.location.location_id,
                "period": period,
                "t": t,
                "image_id": tile.scene.image_id,
                "acquired": tile.scene.acquired.isoformat(),
                "cloud_pct": tile.scene.cloud_pct,
                "clear_fraction": tile.clear_fraction,
                "cloud_mask": tile.cloud_mask,
                "baseline": tile.scene.baseline,
                "offset_dn": tile.scene.offset_dn,
                "crs": stacks.grid.crs,
                "affine": list(stacks.grid.transform),
            }
            rows.append(row | position)
    return Record(stacks.location.location_id, arrays, tuple(rows))


def record_json(rows: Iterable[Row]) -> bytes:
    """Encode a location's index rows as its `.json` member."""
    return (json.dumps(list(rows), indent=1) + "\n").encode()


def _place(record: Record, shard: str, offsets: dict[str, int]) -> list[Row]:
    """Set the shard and offsets of a record's rows; `offsets` by member name without its ending."""
    placed = []
    for row in record.rows:
        position: Row = {"shard": shard}
        for suffix, prefix in COLUMN_PREFIX.items():
            position[prefix + "offset"] = offsets.get(f"{row['period']}{suffix}")
        placed.append(row | position)
    return placed


def write_shard(file: IO[bytes], shard: str, records: Iterable[Record]) -> list[Row]:
    """Write records as a tar, one at a time, so that only one is in memory.

    Parameters
    ----------
    file : binary file
        Open for writing, at its start.
    shard : str
        File name of the shard, for the index.
    records : iterable of Record
        In order of location.

    Returns
    -------
    list of dict
        The index rows, in order, with shard and offsets.
    """
    rows: list[Row] = []
    # Plain ustar headers with mtime 0: the same records give the same bytes.
    with tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as tar:

        def add(name: str, data: bytes) -> int:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
            return int(tar.offset) - -(-len(data) // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE

        for record in records:
            location_id = record.location_id
            offsets = {
                name.split(".")[0]: add(member_name(location_id, name), data)
                for name, data in record.arrays.items()
            }
            placed = _place(record, shard, offsets)
            add(member_name(location_id, JSON), record_json(placed))
            rows += placed
    return rows


def read_shard(
    file: IO[bytes], where: str, formats: Mapping[str, ArrayFormat], check: bool = True
) -> Iterator[Record]:
    """Read a shard's records in order.

    Parameters
    ----------
    file : binary file
        At the start of the shard.
    where : str
        Name of the shard, for messages.
    formats : mapping
        Array members of each location, from `member_formats`.
    check : bool
        Whether to compare each array with its digest.

    Raises
    ------
    DatasetError
        For a truncated tar, a missing member or a wrong digest.
    """
    try:
        for entry in scan_shard(file, formats):
            yield Record.of(entry, check)
    except (tarfile.TarError, ValueError) as error:
        raise DatasetError(f"Broken shard: {error}", where, "Run 'caco-data verify'") from error


def check_digests(rows: Iterable[Row], arrays: dict[str, bytes]) -> None:
    """Compare arrays by member name with the digests in their rows; ValueError if one differs."""
    digests = {}
    for row in rows:
        for suffix, prefix in COLUMN_PREFIX.items():
            if row[prefix + "sha256"] is not None:
                digests[f"{row['period']}{suffix}"] = row[prefix + "sha256"]
    found = {name.split(".")[0]: hashlib.sha256(data).hexdigest() for name, data in arrays.items()}
    for name in sorted(digests.keys() | found.keys()):
        if name not in found:
            raise ValueError(f"member '{name}' is missing")
        if digests.get(name) != found[name]:
            raise ValueError(f"the digest of member '{name}' does not match")


def rows_table(rows: Iterable[Row]) -> pa.Table:
    """Convert index rows to an Arrow table."""
    typed = [row | {"acquired": datetime.fromisoformat(row["acquired"])} for row in rows]
    return pa.Table.from_pylist(typed, schema=INDEX_SCHEMA)


def table_rows(table: pa.Table) -> list[Row]:
    """Convert an Arrow table to index rows, as in the `.json` members."""
    return [
        row | {"acquired": row["acquired"] and row["acquired"].isoformat()}
        for row in table.to_pylist()
    ]
