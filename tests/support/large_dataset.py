"""Synthetic data sets of any size: the files of a download before its end.

Tables and names are those of a real download from the simulated archive. The shards exist in the
tables only, since neither resuming nor finishing nor opening reads them; `pixels` writes them too,
with compressed empty tiles.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import count, islice
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from caco_data.dataset.arrays import member_formats
from caco_data.dataset.description_check import max_shard_nbytes
from caco_data.dataset.hashing import HashingWriter
from caco_data.dataset.layout import DESCRIPTION, INDEX_SCHEMA, SHARDS, TRUTH_SCHEMA, shard_name
from caco_data.dataset.ledger import Ledger
from caco_data.dataset.shard_content import ShardContent, join_contents, write_contents
from caco_data.dataset.shards import Record, rows_table, table_rows, write_shard
from caco_data.dataset.work_folder import part_file, rejection_file
from caco_data.download.run import describe
from caco_data.download.settings import DownloadSettings, FetchSettings, SceneSettings
from caco_data.grid import false_northing_m
from caco_data.sampling.location_files import write_locations
from caco_data.sampling.locations import sample_locations
from caco_data.sampling.settings import SampleSettings
from caco_data.sources.simulated.settings import SimulatedSettings
from caco_data.storage import LocalStorage, write_bytes, write_json
from caco_data.types import PERIODS, TILES

PER_SHARD = 128
#: One location of this many is rejected.
REJECTED_EVERY = 20
#: Different scenes.
_SCENES = 200_000
_DN_BYTES, _SCL_BYTES = 2_091_008, 87_248


class _UnsyncedStorage(LocalStorage):
    """A folder whose files are not flushed to the disk."""

    @contextmanager
    def writing(self, name: str) -> Iterator[IO[bytes]]:
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            yield file


class IndexRows:
    """Makes the index rows of shards."""

    def __init__(self, zones: NDArray[np.int32], scenes: int = 500) -> None:
        self._zone = zones
        self._scenes = scenes
        self._rng = np.random.default_rng(0)
        days = self._rng.integers(0, 2000, scenes) * 86_400_000_000
        times = days + self._rng.integers(0, 86_400, scenes) * 1_000_000 + 1_546_300_800_000_000
        self._acquired = pa.array(times, pa.timestamp("us", tz="UTC"))
        stamps = np.datetime_as_string(times.astype("datetime64[us]"), unit="s").tolist()
        stamps = [stamp.replace("-", "").replace(":", "") for stamp in stamps]
        self._image = pa.array([f"{stamp}_{stamp}_T31TCF" for stamp in stamps])
        self._cloud = pa.array(self._rng.random(scenes) * 20)

    def of(self, location_ids: list[int], shard: str) -> pa.Table:
        """Index rows of the complete locations of a shard."""
        size = len(location_ids) * len(PERIODS) * TILES
        scene = pa.array(self._rng.integers(0, self._scenes, size))
        stack = pa.array(np.repeat(np.arange(2 * len(location_ids)), TILES))
        location = pa.array(np.repeat(np.arange(len(location_ids)), 2 * TILES))
        edges = self._rng.integers(10_000, 90_000, (len(location_ids), 2)) * 60.0
        edges[:, 1] += [false_northing_m(zone) for zone in self._zone[location_ids].tolist()]
        transforms = pa.array([[10.0, 0.0, x, 0.0, -10.0, y] for x, y in edges.tolist()])
        crs = pa.array([f"EPSG:{zone}" for zone in self._zone[location_ids].tolist()])
        start = np.arange(2 * len(location_ids)) * (_DN_BYTES + _SCL_BYTES + 2048)
        columns: dict[str, Any] = {
            "location_id": pa.array(location_ids).take(location),
            "period": pa.array(PERIODS).take(
                pa.array(np.tile(np.repeat([0, 1], TILES), len(location_ids)))
            ),
            "t": pa.array(np.tile(np.arange(TILES, dtype=np.int8), 2 * len(location_ids))),
            "image_id": self._image.take(scene),
            "acquired": self._acquired.take(scene),
            "cloud_pct": self._cloud.take(scene),
            "clear_fraction": 0.9 + 0.1 * self._rng.random(size),
            "cloud_mask": pa.array(["scl"] * size),
            "baseline": pa.array(["05.00"] * size),
            "crs": crs.take(location),
            "affine": transforms.take(location),
            "shard": pa.array([shard] * size),
            "offset": pa.array(start + 512).take(stack),
            "nbytes": pa.array([_DN_BYTES] * size),
            "sha256": self._digests(2 * len(location_ids)).take(stack),
            "scl_offset": pa.array(start + _DN_BYTES + 1024).take(stack),
            "scl_nbytes": pa.array([_SCL_BYTES] * size),
            "scl_sha256": self._digests(2 * len(location_ids)).take(stack),
        }
        return pa.table(
            [columns.get(field.name, pa.nulls(size, field.type)) for field in INDEX_SCHEMA],
            schema=INDEX_SCHEMA,
        )

    def _digests(self, number: int) -> pa.Array:
        text = self._rng.bytes(32 * number).hex()
        return pa.array([text[i : i + 64] for i in range(0, len(text), 64)])


def is_rejected(location_id: int) -> bool:
    """Whether the synthetic data set rejects a location."""
    return location_id % REJECTED_EVERY == 7


def settings(fill: bool, pixels: bool = False) -> DownloadSettings:
    """Settings of the download: the defaults with `--source simulated`, or one compressed band."""
    fetch = FetchSettings(SceneSettings())
    if pixels:
        fetch = replace(fetch, bands=("B2",), compress="zstd")
    return DownloadSettings(SimulatedSettings(), fetch, PER_SHARD, fill=fill)


def write_unfinished(
    folder: Path, n: int, unsharded: int = 500, fill: bool = False, pixels: bool = False
) -> None:
    """Write the locations table and the data set of a download stopped before its last shards.

    Parameters
    ----------
    folder : Path
        Gets `locations.parquet` and `dataset`.
    n : int
        Number of locations in the table; all are settled.
    unsharded : int
        Number of the last locations that are not in a shard yet, at least: they have a file each in
        the folder `.work`.
    fill : bool
        Whether the rejected locations are replaced, so that n are complete.
    pixels : bool
        Whether to write the shards: about 10 kB per location. Every location is in a shard.
    """
    locations = sample_locations(SampleSettings(), n)
    write_locations(locations, folder / "locations.parquet")
    storage = _UnsyncedStorage(folder / "dataset")
    description = Ledger(storage, describe(settings(fill, pixels), locations), []).description
    write_json(storage, DESCRIPTION, {**description, "complete": False})
    if fill:
        complete_ids = (i for i in count() if not is_rejected(i))
        n = 1 + next(islice(complete_ids, n - 1, None))
        locations = sample_locations(SampleSettings(), n)
    rows = IndexRows(locations.utm_epsg, _SCENES)
    # The sizes of the shards must permit the number of locations, also of those with tiny parts.
    nbytes = max_shard_nbytes(description["settings"])
    shards = -(-n // PER_SHARD) if pixels else (n - unsharded) // PER_SHARD
    arrays = _empty_arrays(description["settings"])
    for number in range(shards):
        ids = range(number * PER_SHARD, min((number + 1) * PER_SHARD, n))
        complete = [i for i in ids if not is_rejected(i)]
        truth = [
            {"location_id": i, "changed_fraction": i % 97 / 970, "land_cover": "forest"}
            for i in complete
        ]
        rejected = [_rejection(i) for i in ids if is_rejected(i)]
        entry = {
            "name": shard_name(number),
            "nbytes": nbytes,
            "sha256": f"{number:064x}",
        }
        table = rows.of(complete, shard_name(number))
        if pixels:
            table, entry = _write_shard(storage, table, shard_name(number), arrays)
        content = ShardContent(
            table,
            rejected,
            pa.Table.from_pylist(truth, TRUTH_SCHEMA),
            entry,
        )
        write_contents(storage, number, [content])
        join_contents(storage, number, set(range(number + 1)))
    for i in range(shards * PER_SHARD, n):
        if is_rejected(i):
            write_json(storage, rejection_file(i), _rejection(i))
        else:
            write_bytes(storage, part_file(i), _part(rows, i))


def _rejection(location_id: int) -> dict[str, Any]:
    return {"location_id": location_id, "reason": "too cloudy", "detail": "early slot 3"}


def _empty_arrays(settings: dict[str, Any]) -> dict[str, bytes]:
    """Array members of a location without reflectance, by name."""
    formats = member_formats(settings)
    return {name: one.encode(np.zeros(one.shape, one.dtype)) for name, one in formats.items()}


def _write_shard(
    storage: LocalStorage, table: pa.Table, shard: str, arrays: dict[str, bytes]
) -> tuple[pa.Table, dict[str, Any]]:
    """Write a shard whose locations have the same arrays: its index rows and its entry."""
    rows = [row | _positions(arrays, row["period"]) for row in table_rows(table)]
    each = 2 * TILES
    with storage.writing(f"{SHARDS}/{shard}") as file:
        writer = HashingWriter(file)
        placed = write_shard(
            writer,  # type: ignore[arg-type]
            shard,
            (
                Record(rows[i]["location_id"], arrays, tuple(rows[i : i + each]))
                for i in range(0, len(rows), each)
            ),
        )
    return rows_table(placed), {"name": shard, "nbytes": writer.nbytes, "sha256": writer.sha256}


def _positions(arrays: dict[str, bytes], period: str) -> dict[str, Any]:
    """Sizes and digests of a period's arrays, as in its index rows."""
    found: dict[str, Any] = {}
    for prefix, member in (("", period), ("scl_", f"{period}_scl")):
        data = next(data for name, data in arrays.items() if name.split(".")[0] == member)
        found[prefix + "nbytes"] = len(data)
        found[prefix + "sha256"] = hashlib.sha256(data).hexdigest()
    return found


def _part(rows: IndexRows, location_id: int) -> bytes:
    """Shard of one location, with a few bytes per member."""
    data = io.BytesIO()
    np.save(data, np.zeros(4, np.uint16))
    array = data.getvalue()
    names = [f"{period}{member}.npy" for period in PERIODS for member in ("", "_scl")]
    arrays = dict.fromkeys(names, array)
    table = table_rows(rows.of([location_id], ""))
    placed = (row | _positions(arrays, row["period"]) for row in table)
    record = Record(location_id, arrays, tuple(placed))
    part = io.BytesIO()
    write_shard(part, "", [record])
    return part.getvalue()
