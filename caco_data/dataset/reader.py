"""A finished data set: its description, its index, and where each stack lies.

The only bridge from the data half to the training half; numpy and pyarrow only.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from caco_data.dataset.layout import (
    DESCRIPTION,
    EXTRA_MEMBERS,
    FORMAT,
    INDEX,
    INDEX_SCHEMA,
    SHARDS,
    bands_by_pixel,
)
from caco_data.dataset.shards import decode
from caco_data.errors import DatasetError, InputError
from caco_data.sentinel2 import PIXEL_M
from caco_data.storage import Storage, open_storage, read_bytes
from caco_data.types import PATCH_PX, PERIODS, TILES, PeriodName


@dataclass(frozen=True)
class Members:
    """Where the bands of one pixel size lie, of L locations."""

    bands: tuple[str, ...]
    """Names of the bands wanted."""
    channels: tuple[int, ...]
    """Their places in the members."""
    shape: tuple[int, int, int, int]
    """Of a member: (T, C, H, W)."""
    offset: NDArray[np.int64]
    """(L, 2), bytes from the start of the shard to the early and the late member."""
    nbytes: NDArray[np.int64]
    """(L, 2), bytes of the members."""

    @property
    def suffix(self) -> Literal["", "20", "60"]:
        """Of the members' names: the pixel size where it is not 10 m."""
        suffixes: dict[int, Literal["", "20", "60"]] = {10: "", 20: "20", 60: "60"}
        return suffixes[PATCH_PX * PIXEL_M // self.shape[3]]


@dataclass(frozen=True)
class StackTable:
    """Where the stacks of every complete location lie, as arrays over L locations."""

    location_ids: NDArray[np.int64]
    """(L,), ascending."""
    paths: tuple[str, ...]
    """Paths or URLs of the shards."""
    shard: NDArray[np.int32]
    """(L,), index into `paths`."""
    members: tuple[Members, ...]
    """By pixel size, the finest first."""
    dtype: np.dtype[Any]
    """uint16 (DN) or uint8 (DN / 10000 * 255)."""
    compressed: bool
    """Whether the members are `.npy.zst` rather than `.npy`."""

    @property
    def bands(self) -> tuple[str, ...]:
        """Names of all bands, the finest first."""
        return tuple(band for member in self.members for band in member.bands)


@dataclass(frozen=True)
class Dataset:
    """An opened data set."""

    root: str
    """The path or URL."""
    storage: Storage
    meta: dict[str, Any]
    """dataset.json."""
    index: pa.Table
    """One row a tile, ordered by location, period (early, late) and t."""

    @property
    def bands(self) -> tuple[str, ...]:
        """All bands, in the order asked for."""
        return tuple(self.meta["settings"]["bands"])

    @property
    def compressed(self) -> bool:
        """Whether array members are zstd frames."""
        return bool(self.meta["settings"]["compress"] != "none")

    @property
    def digest(self) -> str:
        """SHA-256, hexadecimal, of dataset.json, which holds those of the shards and tables."""
        return str(self.meta["sha256"])

    def check(self, shards: bool = False) -> None:
        """Hold the tables' digests and the shards' sizes against the description.

        Parameters
        ----------
        shards : bool
            Whether to hash the shards too, at about a second a gigabyte.

        Raises
        ------
        DatasetError
            For the first file that is not as it was written.
        """
        for name, sha256 in self.meta.get("tables", {}).items():
            self._check_file(name, None, sha256)
        for shard in self.meta.get("shards", ()):
            name = f"{SHARDS}/{shard['name']}"
            self._check_file(name, shard["nbytes"], shard["sha256"] if shards else None)

    def _check_file(self, name: str, nbytes: int | None, sha256: str | None) -> None:
        where = f"{self.root}/{name}"
        remedy = "Run 'caco-data verify --repair', then 'caco-data download'"
        if not self.storage.exists(name):
            raise DatasetError("Missing file", where, remedy)
        if nbytes is not None and (found := self.storage.size(name)) != nbytes:
            raise DatasetError(f"{found} bytes instead of {nbytes}", where, remedy)
        if sha256 is not None:
            with self.storage.open(name) as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != sha256:  # type: ignore[arg-type]
                    raise DatasetError("Not as it was written (SHA-256)", where, remedy)

    def stacks(self, bands: Collection[str] | None = None) -> StackTable:
        """Places of the stacks of every location.

        Parameters
        ----------
        bands : collection of str, optional
            The bands wanted; all where not given.

        Raises
        ------
        InputError
            When the data set has no location, or not these bands.
        """
        if not self.index.num_rows:
            raise InputError("Data set without locations", self.root, "Download one again")
        if missing := sorted(set(bands or ()) - set(self.bands)):
            raise InputError(
                f"The data set has no band {', '.join(missing)}",
                self.root,
                f"It has {', '.join(self.bands)}",
            )
        first = self.index.filter(pc.equal(self.index["t"], 0))  # early, late of each location
        ids = first["location_id"].to_numpy().reshape(-1, 2)
        names = sorted(set(first["shard"].to_pylist()))
        number = {name: i for i, name in enumerate(names)}
        shard = np.array([number[name] for name in first["shard"].to_pylist()], dtype=np.int32)
        members = []
        for pixel_m, held in bands_by_pixel(self.bands).items():
            wanted = tuple(band for band in held if bands is None or band in bands)
            if not wanted:
                continue
            prefix = "" if pixel_m == PIXEL_M else EXTRA_MEMBERS[str(pixel_m)]
            side = PATCH_PX * PIXEL_M // pixel_m
            members.append(
                Members(
                    bands=wanted,
                    channels=tuple(held.index(band) for band in wanted),
                    shape=(TILES, len(held), side, side),
                    offset=first[f"{prefix}offset"].to_numpy().reshape(-1, 2),
                    nbytes=first[f"{prefix}nbytes"].to_numpy().reshape(-1, 2),
                )
            )
        return StackTable(
            location_ids=ids[:, 0],
            paths=tuple(f"{self.root}/{SHARDS}/{name}" for name in names),
            shard=shard[::2],
            members=tuple(members),
            dtype=np.dtype(self.meta["settings"]["dtype"]),
            compressed=self.compressed,
        )

    def read_member(
        self, location_id: int, period: PeriodName, member: Literal["", "20", "60", "_scl"] = ""
    ) -> NDArray[Any]:
        """Read one member of a location, shape (5, C, H, W) or (5, H, W) for `_scl`.

        Raises
        ------
        InputError
            When the location is not in the data set.
        DatasetError
            When its bytes are not what the index says.
        """
        here = pc.and_(
            pc.equal(self.index["location_id"], location_id), pc.equal(self.index["period"], period)
        )
        rows = self.index.filter(here).slice(0, 1).to_pylist()
        prefix = EXTRA_MEMBERS.get(member, "")
        if not rows or rows[0][prefix + "offset"] is None:
            raise InputError(f"No stack of location {location_id}", self.root, "See index.parquet")
        name = f"{SHARDS}/{rows[0]['shard']}"
        with self.storage.open(name) as file:
            file.seek(rows[0][prefix + "offset"])
            data = file.read(rows[0][prefix + "nbytes"])
        if hashlib.sha256(data).hexdigest() != rows[0][prefix + "sha256"]:
            raise DatasetError(
                f"Location {location_id} is damaged",
                f"{self.root}/{name}",
                "Run 'caco-data verify --repair', then 'caco-data download'",
            )
        return decode(data, ".npy.zst" if self.compressed else ".npy")


def description_digest(meta: dict[str, Any]) -> str:
    """SHA-256, hexadecimal, of dataset.json's content less the digest itself."""
    rest = {key: value for key, value in meta.items() if key != "sha256"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def read_description(storage: Storage) -> dict[str, Any]:
    """Read dataset.json.

    Raises
    ------
    InputError
        When there is none.
    DatasetError
        When it is not one of ours.
    """
    where = f"{storage.root}/{DESCRIPTION}"
    try:
        meta = json.loads(read_bytes(storage, DESCRIPTION))
    except FileNotFoundError as error:
        raise InputError(
            "No data set here", str(storage.root), "Make one with 'caco-data download'"
        ) from error
    except ValueError as error:
        raise DatasetError(f"Unreadable description: {error}", where) from error
    if not isinstance(meta, dict) or meta.get("format") != FORMAT:
        raise DatasetError(f"Not a data set of format {FORMAT}", where)
    if meta.get("complete") and meta.get("sha256") != description_digest(meta):
        raise DatasetError("Description changed since it was written", where)
    return meta


def read_parquet(storage: Storage, name: str) -> pa.Table:
    """Read a table by this thread alone.

    Arrow's own threads would let go of the Python file some time later; where Python is about to
    exit by then, that ends the process by SIGABRT ("terminate called without an active exception").
    """
    with storage.open(name) as file:
        return pq.ParquetFile(file).read(use_threads=False)


def read_table(storage: Storage, name: str, schema: pa.Schema) -> pa.Table:
    """Read one of the data set's tables; DatasetError when it is missing or not of the schema."""
    where = f"{storage.root}/{name}"
    try:
        table = read_parquet(storage, name)
    except FileNotFoundError as error:
        raise DatasetError("Missing table", where) from error
    except (pa.ArrowInvalid, OSError) as error:
        raise DatasetError(f"Unreadable table: {error}", where) from error
    if not table.schema.remove_metadata().equals(schema):
        raise DatasetError("Table with other columns than the format's", where)
    return table


def open_dataset(root: str | os.PathLike[str]) -> Dataset:
    """Open a finished data set.

    Parameters
    ----------
    root : path or URL
        The folder that holds dataset.json.

    Returns
    -------
    Dataset

    Raises
    ------
    InputError
        When there is no data set, or an unfinished one.
    DatasetError
        When its description or its index is damaged.
    """
    storage = open_storage(root)
    meta = read_description(storage)
    if not meta.get("complete"):
        raise InputError(
            "Unfinished data set", str(root), "Run the same 'caco-data download' again to finish it"
        )
    index = read_table(storage, INDEX, INDEX_SCHEMA)
    expected = len(PERIODS) * TILES
    if index.num_rows != expected * int(meta["counts"]["complete"]):
        raise DatasetError(
            f"{index.num_rows} index rows for {meta['counts']['complete']} locations",
            f"{storage.root}/{INDEX}",
            "Run 'caco-data verify'",
        )
    return Dataset(storage.root, storage, meta, index)
