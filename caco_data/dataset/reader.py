"""Reader of a finished data set: description, index, and the arrays of its locations.

Training reads data sets through this module only; it needs numpy and pyarrow only.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
from numpy.typing import NDArray

from caco_data.dataset.arrays import member_formats
from caco_data.dataset.description import read_description
from caco_data.dataset.hashing import file_fault
from caco_data.dataset.index import Index, open_index
from caco_data.dataset.layout import (
    COLUMN_PREFIX,
    INDEX,
    SHARDS,
    SUFFIX_BY_PIXEL_M,
    TRUTH,
    MemberSuffix,
    bands_by_pixel,
    shard_file,
    stack_layout,
    truth_schema,
)
from caco_data.dataset.split import ids_of, read_split
from caco_data.dataset.stack_table import StackTable, read_stacks
from caco_data.dataset.tables import read_table
from caco_data.errors import FINISH_REMEDY, REPAIR_REMEDY, DatasetError, InputError
from caco_data.split_settings import PartName
from caco_data.storage import LocalStorage, Storage, open_storage
from caco_data.types import PeriodName, StackLayout


@dataclass(frozen=True)
class Dataset:
    """An opened data set."""

    root: str
    """Path or URL."""
    storage: Storage
    meta: dict[str, Any]
    """Content of dataset.json."""
    index: Index
    """One row per tile, read on demand."""

    @property
    def bands(self) -> tuple[str, ...]:
        """Names of all bands, in the order of `--bands`."""
        return tuple(self.meta["settings"]["bands"])

    @property
    def layout(self) -> StackLayout:
        """Names of the periods, tiles per period, and size of the patches."""
        return self.index.layout

    @property
    def first_and_last(self) -> tuple[PeriodName, PeriodName]:
        """Names of the first and the last period.

        Raises
        ------
        InputError
            When there is one period only.
        """
        periods = self.layout.periods
        if len(periods) < 2:
            raise InputError(
                "The data set has one period; change needs two", self.root,
                "Download one with --periods 2",
            )  # fmt: skip
        return periods[0], periods[-1]

    @property
    def member_bands(self) -> dict[MemberSuffix, tuple[str, ...]]:
        """Bands of each member, in stored order: `{"": ("B4", ...), "20": ("B5", ...)}`."""
        groups = bands_by_pixel(self.bands)
        return {SUFFIX_BY_PIXEL_M[pixel_m]: bands for pixel_m, bands in groups.items()}

    @property
    def compressed(self) -> bool:
        """Whether array members are compressed with zstd."""
        return bool(self.meta["settings"]["compress"] != "none")

    @property
    def digest(self) -> str:
        """SHA-256, hexadecimal, of dataset.json, which contains those of the shards and tables."""
        return str(self.meta["sha256"])

    def check(self, shards: bool = False) -> None:
        """Compare the tables' digests and the shards' sizes with dataset.json.

        Parameters
        ----------
        shards : bool
            Whether to compare the shards' digests too; takes about one second per gigabyte.

        Raises
        ------
        DatasetError
            For the first file that is missing or differs.
        """
        for name, sha256 in self.meta.get("tables", {}).items():
            self._check_file(name, sha256)
        for shard in self.meta.get("shards", ()):
            sha256 = shard["sha256"] if shards else None
            self._check_file(f"{SHARDS}/{shard['name']}", sha256, shard["nbytes"])

    def _check_file(self, name: str, sha256: str | None, nbytes: int | None = None) -> None:
        fault = file_fault(self.storage, name, sha256, nbytes)
        if fault:
            raise DatasetError(fault[0].upper() + fault[1:], f"{self.root}/{name}", REPAIR_REMEDY)

    def truth(self) -> pa.Table | None:
        """Read truth.parquet; None for a data set without ground truth.

        Raises
        ------
        DatasetError
            When the table cannot be read.
        """
        if not self.storage.exists(TRUTH):
            return None
        schema = truth_schema(self.meta["source"])
        return read_table(self.storage, TRUTH, schema, self.meta["counts"]["complete"])

    def stacks(self, bands: Collection[str] | None = None) -> StackTable:
        """Positions of the stacks of all locations.

        Parameters
        ----------
        bands : collection of str, optional
            The bands to read; all if None.

        Raises
        ------
        InputError
            When the data set has no locations, or lacks one of the bands.
        """
        if not self.index.num_rows:
            raise InputError("Data set without locations", self.root, "Download another one")
        if missing := sorted(set(bands or ()) - set(self.bands)):
            raise InputError(
                f"The data set has no band {', '.join(missing)}",
                self.root,
                f"Use bands of {', '.join(self.bands)}",
            )
        return read_stacks(
            self.index,
            self._path,
            stored=self.bands,
            wanted=self.bands if bands is None else bands,
            dtype=self.meta["settings"]["dtype"],
            compressed=self.compressed,
        )

    def _path(self, shard: str) -> str:
        """Path or URL of a shard; DatasetError if it is a link."""
        name = shard_file(shard)
        if isinstance(self.storage, LocalStorage):
            return str(self.storage.path(name))
        return f"{self.root}/{name}"

    def read_member(
        self, location_id: int, period: PeriodName, member: MemberSuffix = ""
    ) -> NDArray[Any]:
        """Read one array of a location.

        Parameters
        ----------
        location_id : int
            The location.
        period : str
            Name of the period, one of `layout.periods`: by default `early` and `late`.
        member : {"", "20", "60", "_scl"}
            The 10 m bands, the 20 m bands, the 60 m bands, or the scene classes.

        Returns
        -------
        ndarray of uint16 or uint8, shape (T, C, H, W), or (T, H, W) for `_scl`
            DN, DN / 10000 * 255, or scene classes.

        Raises
        ------
        InputError
            When the data set has no such location or member.
        DatasetError
            When the bytes do not match the digest in the index.
        """
        prefix = COLUMN_PREFIX[member]
        columns = ["period", "shard", *(prefix + name for name in ("offset", "nbytes", "sha256"))]
        found = self.index.of([location_id], columns).to_pylist()
        rows = [row for row in found if row["period"] == period]
        if not rows or rows[0][prefix + "offset"] is None or rows[0][prefix + "nbytes"] is None:
            what = f"No member '{period}{member}' of location {location_id}"
            raise InputError(what, self.root, "Choose a location and a member of index.parquet")
        name = shard_file(rows[0]["shard"])
        ending = ".npy.zst" if self.compressed else ".npy"
        form = member_formats(self.meta["settings"])[f"{period}{member}{ending}"]
        with self.storage.open(name) as file:
            file.seek(max(0, rows[0][prefix + "offset"]))
            data = file.read(max(0, min(rows[0][prefix + "nbytes"], form.max_nbytes)))
        if hashlib.sha256(data).hexdigest() != rows[0][prefix + "sha256"]:
            raise DatasetError(
                f"Location {location_id} is damaged", f"{self.root}/{name}", REPAIR_REMEDY
            )
        return form.decode(data).copy()


def open_dataset(root: str | os.PathLike[str], split: PartName | None = None) -> Dataset:
    """Open a finished data set.

    Parameters
    ----------
    root : path or URL
        The folder with dataset.json.
    split : {"train", "val", "test"}, optional
        Open the locations of this part only (`caco-data split`); all if None.

    Returns
    -------
    Dataset

    Raises
    ------
    InputError
        When there is no data set, an unfinished one, or no such part.
    DatasetError
        When its description or its index is damaged.
    """
    storage = open_storage(root)
    meta = read_description(storage)
    if not meta.get("complete"):
        raise InputError("Unfinished data set", str(root), FINISH_REMEDY)
    complete = int(meta["counts"]["complete"])
    index = open_index(storage, stack_layout(meta["settings"]))
    if index.num_rows != complete * index.layout.rows:
        raise DatasetError(
            f"{index.num_rows} index rows for {complete} locations",
            f"{storage.root}/{INDEX}",
            "Run 'caco-data verify'",
        )
    if split is not None:
        index = replace(index, only=ids_of(read_split(storage, meta["sha256"]), split))
    return Dataset(storage.root, storage, meta, index)
