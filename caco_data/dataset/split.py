"""Split of a data set into parts for training, validation and test, with a spatial buffer.

The globe is divided into blocks; all locations of a block belong to one part. Locations that are
nearer to a location of another part than the buffer belong to none. The result depends on the set
of patches, the settings and the seed only, not on the order of the rows.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from caco_data import __version__
from caco_data.dataset.index_files import stream_index
from caco_data.dataset.layout import SPLIT, SPLIT_SCHEMA
from caco_data.dataset.nearby import earth_positions, near
from caco_data.dataset.tables import read_table
from caco_data.errors import DatasetError, InputError
from caco_data.split_settings import PartName, SplitSettings
from caco_data.storage import Storage
from caco_data.types import PATCH_M, StackLayout

#: Parts by code; locations of the last one are not used.
PARTS = ("train", "val", "test", "buffer")
_TRAIN, _VAL, _TEST, _BUFFER = range(len(PARTS))
#: Minimum scale of UTM: a patch is up to 0.04 % larger on the ground.
_UTM_SCALE = 0.9996
#: Sides of a block that are tried, km, and the number of blocks that the smallest part should have.
_BLOCKS_KM, _BLOCKS_PER_PART = (100.0, 50.0, 25.0, 12.5), 10
_DEGREE_KM = 111.2
_METADATA = b"caco_data"


def apart_m(settings: SplitSettings, patch_m: int = PATCH_M) -> float:
    """Minimum distance between the centres of patches of different parts, metres.

    From a distance of twice half their diagonal on, patches cannot touch.
    """
    return patch_m * 2**0.5 / _UTM_SCALE + 1000 * settings.buffer_km


@dataclass(frozen=True)
class Centres:
    """Centres of the patches of N locations."""

    location_ids: NDArray[np.int64]
    """(N,), ascending."""
    longitude: NDArray[np.float64]
    """(N,), degrees."""
    latitude: NDArray[np.float64]
    """(N,), degrees."""
    patch_m: int = PATCH_M
    """Side of the patches, metres."""


def read_centres(storage: Storage, layout: StackLayout) -> Centres:
    """Read the patches of all complete locations from index.parquet, in batches.

    Raises
    ------
    DatasetError
        When the table cannot be read.
    """
    from caco_data.grid import to_lonlat  # PROJ is not needed to read a data set

    columns = ["location_id", "period", "t", "crs", "affine"]
    found: list[NDArray[Any]] = [
        _centres(pa.Table.from_batches([batch]), layout) for batch in stream_index(storage, columns)
    ]
    rows = np.concatenate(found or [np.empty((0, 4))])
    longitude, latitude = to_lonlat(rows[:, 1], rows[:, 2], rows[:, 3].astype(np.int64))
    return Centres(rows[:, 0].astype(np.int64), longitude, latitude, layout.patch_m)


def _centres(table: pa.Table, layout: StackLayout) -> NDArray[np.float64]:
    """Location, easting and northing of the centre and EPSG code of the first tiles, (n, 4)."""
    import pyarrow.compute as pc

    first = table.filter(
        pc.and_(pc.equal(table["period"], layout.periods[0]), pc.equal(table["t"], 0))
    )
    affine = np.array(first["affine"].to_pylist(), np.float64).reshape(-1, 6)
    crs = [int(code.removeprefix("EPSG:")) for code in first["crs"].to_pylist()]
    half = layout.patch_m / 2
    ids = first["location_id"].to_numpy().astype(np.float64)  # exact up to 2**53
    return np.stack([ids, affine[:, 2] + half, affine[:, 5] - half, np.array(crs, float)], 1)


def assign(centres: Centres, settings: SplitSettings) -> NDArray[np.int8]:
    """Choose the part of each location.

    Parameters
    ----------
    centres : Centres
        Centres of N patches, in any order.
    settings : SplitSettings
        Fractions, distances and seed.

    Returns
    -------
    ndarray of int8, shape (N,)
        Indices into `PARTS`.
    """
    if not centres.location_ids.size:
        return np.empty(0, np.int8)
    block, sizes = _choose_blocks(centres, settings)
    codes = _parts_of_blocks(block.keys, sizes, settings)[block.inverse]
    points = earth_positions(centres.longitude, centres.latitude)
    # Validation gives way to the test, and training to both.
    for code, others in ((_VAL, (_TEST,)), (_TRAIN, (_VAL, _TEST))):
        own = np.flatnonzero(codes == code)
        close = near(
            points[own], points[np.isin(codes, others)], apart_m(settings, centres.patch_m)
        )
        codes[own[close]] = _BUFFER
    return codes


@dataclass(frozen=True)
class _Blocks:
    keys: NDArray[np.int64]
    """Numbers of the blocks with locations, ascending."""
    inverse: NDArray[np.int64]
    """(N,): index of each location's block."""


def _choose_blocks(centres: Centres, settings: SplitSettings) -> tuple[_Blocks, NDArray[np.int64]]:
    """Divide the locations by blocks: the largest that give each part enough blocks."""
    fractions = [x for x in (settings.val, settings.test) if x > 0]
    enough = _BLOCKS_PER_PART / min(fractions) if fractions else 1
    smallest = 4 * apart_m(settings, centres.patch_m) / 1000
    usable = [side for side in _BLOCKS_KM if side >= smallest] or [smallest]
    for side in [settings.block_km] if settings.block_km else usable:
        keys = _block_keys(centres.longitude, centres.latitude, side)
        found, inverse, sizes = np.unique(keys, return_inverse=True, return_counts=True)
        if found.size >= enough:
            break
    return _Blocks(found, inverse), sizes


def _block_keys(
    longitude: NDArray[np.float64], latitude: NDArray[np.float64], side_km: float
) -> NDArray[np.int64]:
    """Numbers of blocks of about equal area: bands of latitude, each divided evenly."""
    bands = max(1, round(180 * _DEGREE_KM / side_km))
    band = np.clip(np.floor((latitude + 90) / 180 * bands), 0, bands - 1).astype(np.int64)
    middle = np.radians((band + 0.5) * 180 / bands - 90)
    count = np.maximum(1, np.round(360 * _DEGREE_KM * np.cos(middle) / side_km)).astype(np.int64)
    cell = np.floor((longitude % 360) / 360 * count).astype(np.int64) % count
    return np.asarray(band * 1_000_000 + cell)


def _parts_of_blocks(
    keys: NDArray[np.int64], sizes: NDArray[np.int64], settings: SplitSettings
) -> NDArray[np.int8]:
    """Part of each block: in random order, those that bring a part nearer its size."""
    order = sorted(range(len(keys)), key=lambda i: _random(settings.seed, int(keys[i])))
    parts = np.zeros(len(keys), np.int8)
    for code, fraction in ((_TEST, settings.test), (_VAL, settings.val)):
        missing = fraction * int(sizes.sum())
        for i in order:
            if parts[i] == _TRAIN and abs(missing - int(sizes[i])) < missing:
                parts[i] = code
                missing -= int(sizes[i])
    return parts


def _random(seed: int, key: int) -> bytes:
    return hashlib.blake2b(f"{seed} {key}".encode(), digest_size=8).digest()


def write_split(
    storage: Storage, digest: str, settings: SplitSettings, layout: StackLayout | None = None
) -> dict[str, int]:
    """Split a data set: write split.parquet. Only the holder of the folder's lock may call this.

    Parameters
    ----------
    storage : Storage
        A finished data set.
    digest : str
        Digest of the data set (`Dataset.digest`).
    settings : SplitSettings
        Fractions, distances and seed.
    layout : StackLayout, optional
        Layout of the data set (`Dataset.layout`).

    Returns
    -------
    dict of str to int
        Number of locations by part, all of `PARTS`.

    Raises
    ------
    InputError
        When a part for which locations are wanted would be empty; nothing is written.
    """
    centres = read_centres(storage, layout or StackLayout())
    codes = assign(centres, settings)
    counts = Counter(codes.tolist())
    found = {name: counts[code] for code, name in enumerate(PARTS)}
    wanted = {"train": 1.0, "val": settings.val, "test": settings.test}
    if empty := [name for name, fraction in wanted.items() if fraction and not found[name]]:
        raise InputError(
            f"No location is left for {' and '.join(empty)}: {_shown(found)}",
            storage.root,
            "Use a smaller --block-km or --buffer-km, or larger fractions",
        )
    order = np.argsort(centres.location_ids, kind="stable")
    names = pa.array(PARTS).take(pa.array(codes[order]))
    about = {
        "software": f"caco-data {__version__}",
        "dataset": digest,
        "settings": asdict(settings),
    }
    table = pa.Table.from_arrays(
        [pa.array(centres.location_ids[order]), names],
        schema=SPLIT_SCHEMA.with_metadata({_METADATA: json.dumps(about)}),
    )
    with storage.writing(SPLIT) as file:
        pq.write_table(table, file, compression="zstd", write_page_checksum=True)
    return found


def _shown(counts: dict[str, int]) -> str:
    return ", ".join(f"{n} {name}" for name, n in counts.items())


def read_split(storage: Storage, digest: str) -> pa.Table:
    """Read split.parquet: columns `location_id`, ascending, and `split`.

    Raises
    ------
    InputError
        When there is none, or it belongs to another state of the data set.
    DatasetError
        When it is damaged.
    """
    if not storage.exists(SPLIT):
        raise InputError("The data set is not split", storage.root, "Run 'caco-data split' first")
    table = read_table(storage, SPLIT, SPLIT_SCHEMA)
    where = f"{storage.root}/{SPLIT}"
    try:
        with storage.open(SPLIT) as file:
            about = json.loads(pq.read_schema(file).metadata[_METADATA])
        made_for = about["dataset"]
    except (KeyError, TypeError, ValueError) as error:
        raise DatasetError("The table has no metadata", where, "Run 'caco-data split'") from error
    if made_for != digest:
        raise InputError(
            "The split was made before the data set was changed", where, "Run 'caco-data split'"
        )
    if not set(table["split"].unique().to_pylist()) <= set(PARTS):
        raise DatasetError("The table has unknown parts", where, "Run 'caco-data split'")
    return table


def split_fault(storage: Storage, digest: str, complete: int) -> str | None:
    """What is wrong with the split of a data set with some complete locations, if anything."""
    try:
        rows = read_split(storage, digest).num_rows
    except (InputError, DatasetError) as error:
        return f"{error.what}; run 'caco-data split'"
    return None if rows == complete else f"{rows} rows for {complete} locations"


def ids_of(table: pa.Table, name: PartName) -> NDArray[np.int64]:
    """Locations of a part, ascending."""
    own = table["split"].to_numpy(zero_copy_only=False) == name
    ids: NDArray[np.int64] = table["location_id"].to_numpy()[own]
    return ids
