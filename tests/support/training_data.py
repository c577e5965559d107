"""Training data sets made with numpy and pyarrow only: each location has its own texture.

A changed location has a different texture in the late period; the season changes the brightness of
the whole tile.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from caco_data.dataset.description import description_digest
from caco_data.dataset.layout import DESCRIPTION, FORMAT, INDEX, SHARDS, TRUTH, TRUTH_SCHEMA
from caco_data.dataset.shards import Record, encode, rows_table, write_shard
from caco_data.sentinel2 import RGB_BANDS
from caco_data.types import (
    PATCH_PX,
    PERIODS,
    TILES,
    Compress,
    Dtype,
    Footprint,
    Grid,
    Location,
    LocationStacks,
    Scene,
    Stack,
    Tile,
)

_CELL = 8  # side of a texture cell, pixels
_SCENE = Scene("scene", datetime(2019, 1, 1, tzinfo=UTC), 1.0, 32631, Footprint((), ()), "05.00")
_SCL = np.full((PATCH_PX // 2, PATCH_PX // 2), 4, dtype=np.uint8)


def is_changed(location_id: int) -> bool:
    """Whether a location changes: every third one does."""
    return location_id % 3 == 2


def _texture(rng: np.random.Generator, bands: int) -> NDArray[np.float64]:
    cells = PATCH_PX // _CELL
    colour = rng.uniform(200, 2500, size=(bands, 1, 1))
    return np.clip(colour * (1 + 0.5 * rng.normal(size=(1, cells, cells))), 50, 4000)


def _record(
    location_id: int, bands: tuple[str, ...], dtype: Dtype, compress: Compress, late_dn: int
) -> Record:
    rng = np.random.default_rng([7, location_id])
    textures = [_texture(rng, len(bands)), _texture(rng, len(bands))]
    stacks = []
    for late, period in enumerate(PERIODS):
        texture = textures[late * is_changed(location_id)]
        tiles = []
        for t in range(TILES):
            season = texture * (1 + 0.2 * np.sin(2 * np.pi * t / TILES))
            noisy = season + rng.normal(0, 40, size=season.shape)
            pixels = np.clip(noisy, 1, 10000).astype(np.uint16) + np.uint16(late * late_dn)
            pixels = pixels.repeat(_CELL, axis=1).repeat(_CELL, axis=2)
            tiles.append(Tile(_SCENE, pixels, _SCL, 1.0))
        stacks.append(Stack(period, tuple(tiles)))
    grid = Grid(32631, 500_000, 5_000_000)
    location = Location(location_id, 3.0, 45.0, 32631)
    return encode(LocationStacks(location, grid, bands, tuple(stacks)), dtype, compress)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def make_training_set(
    root: Path,
    locations: int,
    bands: tuple[str, ...] = RGB_BANDS,
    dtype: Dtype = "uint8",
    compress: Compress = "none",
    per_shard: int = 5,
    truth: bool = True,
    late_dn: int = 0,
) -> Path:
    """Write a complete data set with location ids 0, 10, 20, ...; return its folder.

    `late_dn` is added to the late tiles.
    """
    (root / SHARDS).mkdir(parents=True)
    ids = [10 * i for i in range(locations)]
    rows = []
    for first in range(0, locations, per_shard):
        name = f"{first // per_shard:06d}.tar"
        chunk = ids[first : first + per_shard]
        with (root / SHARDS / name).open("wb") as file:
            records: Iterator[Record] = (_record(i, bands, dtype, compress, late_dn) for i in chunk)
            rows += write_shard(file, name, records)
    pq.write_table(rows_table(rows), root / INDEX)
    if truth:
        known = [
            {"location_id": i, "changed_fraction": 0.5 * is_changed(i), "land_cover": "plain"}
            for i in ids
        ]
        pq.write_table(pa.Table.from_pylist(known, schema=TRUTH_SCHEMA), root / TRUTH)
    meta: dict[str, object] = {
        "format": FORMAT,
        "software": "caco-data 0",
        "source": {"name": "plain", "collection": "PLAIN"},
        "settings": {
            "bands": list(bands),
            "dtype": dtype,
            "compress": compress,
            "locations_per_shard": per_shard,
        },
        "complete": True,
        "counts": {"locations": locations, "complete": locations, "rejected": {}, "nbytes": 0},
        "tables": {name: _sha256(root / name) for name in (INDEX, TRUTH)[: 1 + truth]},
        "shards": [
            {"name": path.name, "nbytes": path.stat().st_size, "sha256": _sha256(path)}
            for path in sorted((root / SHARDS).iterdir())
        ],
    }
    meta["sha256"] = description_digest(meta)
    (root / DESCRIPTION).write_text(json.dumps(meta))
    return root
