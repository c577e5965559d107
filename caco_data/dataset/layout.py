"""Names, schemas and constants of the data set format."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import pyarrow as pa

from caco_data.sentinel2 import BAND_PIXEL_M, SCL_PIXEL_M
from caco_data.types import PATCH_M, TILES

FORMAT = "caco-data/1"

# Files of a data set, relative to its root.
DESCRIPTION = "dataset.json"
INDEX = "index.parquet"
LOCATIONS = "locations.parquet"
REJECTED = "rejected.parquet"
#: Ground truth, with the simulated source only.
TRUTH = "truth.parquet"
#: Log of the downloads; in no digest.
EVENTS = "events.jsonl"
#: Folder of the shards.
SHARDS = "shards"

#: Suffix of the names of a period's members in a shard: 10 m bands, 20 m bands, 60 m bands, scene
#: classes.
MemberSuffix = Literal["", "20", "60", "_scl"]
#: Prefix of a member's columns in the index.
COLUMN_PREFIX: dict[MemberSuffix, str] = {"": "", "20": "b20_", "60": "b60_", "_scl": "scl_"}
#: Suffix by native pixel size, metres.
SUFFIX_BY_PIXEL_M: dict[int, Literal["", "20", "60"]] = {10: "", 20: "20", 60: "60"}

_POSITION = [("offset", pa.int64()), ("nbytes", pa.int64()), ("sha256", pa.string())]
#: One row per tile: entry `t` of the first axis of its members. `offset`, `nbytes` and `sha256`
#: (with a prefix of `COLUMN_PREFIX`) locate each member in the shard; null without such a member.
INDEX_SCHEMA = pa.schema(
    [
        ("location_id", pa.int64()),
        ("period", pa.string()),
        ("t", pa.int8()),
        ("image_id", pa.string()),
        ("acquired", pa.timestamp("us", tz="UTC")),
        ("cloud_pct", pa.float64()),
        ("clear_fraction", pa.float64()),
        ("cloud_mask", pa.string()),
        ("baseline", pa.string()),
        ("crs", pa.string()),
        ("transform", pa.list_(pa.float64())),
        ("shard", pa.string()),
        *[(prefix + name, kind) for prefix in COLUMN_PREFIX.values() for name, kind in _POSITION],
    ]
)
REJECTED_SCHEMA = pa.schema(
    [("location_id", pa.int64()), ("reason", pa.string()), ("detail", pa.string())]
)
TRUTH_SCHEMA = pa.schema(
    [
        ("location_id", pa.int64()),
        ("changed_fraction", pa.float64()),
        ("land_cover", pa.string()),
    ]
)


def shard_name(number: int) -> str:
    """File name of a shard in the folder `SHARDS`."""
    return f"{number:06d}.tar"


def bands_by_pixel(bands: Iterable[str]) -> dict[int, tuple[str, ...]]:
    """Group bands by native pixel size in metres, keeping their order."""
    bands = tuple(bands)
    sides = sorted({BAND_PIXEL_M[band] for band in bands})
    return {side: tuple(b for b in bands if BAND_PIXEL_M[b] == side) for side in sides}


def member_shapes(bands: Iterable[str]) -> dict[MemberSuffix, tuple[int, ...]]:
    """Array shapes of the members of one period: (T, C, H, W), and (T, H, W) for `_scl`."""
    shapes: dict[MemberSuffix, tuple[int, ...]] = {}
    for pixel_m, group in bands_by_pixel(bands).items():
        side = PATCH_M // pixel_m
        shapes[SUFFIX_BY_PIXEL_M[pixel_m]] = (TILES, len(group), side, side)
    side = PATCH_M // SCL_PIXEL_M
    return shapes | {"_scl": (TILES, side, side)}
