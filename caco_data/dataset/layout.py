"""Names, schemas and constants of the data set format.

Every name read from a file is compared with the patterns here before it is used.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import pyarrow as pa

from caco_data.errors import DatasetError
from caco_data.sentinel2 import BAND_PIXEL_M, SCL_PIXEL_M
from caco_data.types import PATCH_PX, StackLayout

FORMAT = "caco-data/1"

# Files of a data set, relative to its root.
DESCRIPTION = "dataset.json"
INDEX = "index.parquet"
LOCATIONS = "locations.parquet"
REJECTED = "rejected.parquet"
#: Data card; users may change it, so that it is in no digest.
CARD = "README.md"
#: Ground truth, with the simulated source only.
TRUTH = "truth.parquet"
#: Parts for training, validation and test; in no digest, but with one of the data set.
SPLIT = "split.parquet"
#: Log of the downloads; in no digest.
EVENTS = "events.jsonl"
#: Tables that dataset.json may list.
TABLES = (INDEX, LOCATIONS, REJECTED, TRUTH)
#: Folder of the shards.
SHARDS = "shards"
#: File name of a shard.
_SHARD = re.compile(r"[0-9]{6}\.tar")
#: Name of a member of a shard: the location's id with at least nine digits, and the member.
_MEMBER = re.compile(r"([0-9]{9}|[1-9][0-9]{9,17})\.([a-z0-9_.]{1,20})")

#: Value of the column `cloud_mask` for imported tiles, which have no mask.
NO_MASK = "none"

#: Suffix of the names of a period's members in a shard: 10 m bands, 20 m bands, 60 m bands, scene
#: classes.
MemberSuffix = Literal["", "20", "60", "_scl"]
#: Prefix of a member's columns in the index.
COLUMN_PREFIX: dict[MemberSuffix, str] = {"": "", "20": "b20_", "60": "b60_", "_scl": "scl_"}
#: Suffix by native pixel size, metres.
SUFFIX_BY_PIXEL_M: dict[int, Literal["", "20", "60"]] = {10: "", 20: "20", 60: "60"}

_POSITION = [("offset", pa.int64()), ("nbytes", pa.int64()), ("sha256", pa.string())]
#: Index rows, one per tile: entry `t` of the first axis of its members. `offset_dn` was subtracted
#: from the DN of the files; it is null for sources whose values are harmonised. `affine` has the
#: transform of the 10 m grid in rasterio's order. `offset`, `nbytes` and `sha256` (with a prefix of
#: `COLUMN_PREFIX`) locate each member in the shard; null without such a member.
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
        ("offset_dn", pa.int32()),
        ("crs", pa.string()),
        ("affine", pa.list_(pa.float64())),
        ("shard", pa.string()),
        *[(prefix + name, kind) for prefix in COLUMN_PREFIX.values() for name, kind in _POSITION],
    ]
)
#: Rows of a row group of index.parquet: those of 2,000 locations. A reader of single locations
#: decodes one row group; the footer of a table of ten million rows has one megabyte.
ROWS_PER_GROUP = 20_000
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
#: Column of truth.parquet with `--truth-masks`: see `caco_data.change_mask`.
CHANGE_MASK = pa.field("change_mask", pa.string())
SPLIT_SCHEMA = pa.schema([("location_id", pa.int64()), ("split", pa.string())])


def truth_schema(source: Mapping[str, Any]) -> pa.Schema:
    """Columns of truth.parquet, by `source` in dataset.json."""
    return TRUTH_SCHEMA.append(CHANGE_MASK) if source.get("truth_masks") else TRUTH_SCHEMA


def shard_name(number: int) -> str:
    """File name of a shard in the folder `SHARDS`."""
    return f"{number:06d}.tar"


def is_shard_name(name: object) -> bool:
    """Whether a value is the file name of a shard, `000000.tar`."""
    return isinstance(name, str) and _SHARD.fullmatch(name) is not None


def shard_file(name: str) -> str:
    """Name of a shard relative to the data set, `shards/000000.tar`.

    Raises
    ------
    DatasetError
        When it is not the file name of a shard.
    """
    if not is_shard_name(name):
        raise DatasetError("Not the name of a shard", str(name), "Run 'caco-data verify'")
    return f"{SHARDS}/{name}"


def member_name(location_id: int, member: str) -> str:
    """Name of a member in its shard, `000000123.early.npy`."""
    return f"{location_id:09d}.{member}"


def split_member_name(name: str) -> tuple[int, str]:
    """Location and member of a name made by `member_name`; ValueError for any other name."""
    found = _MEMBER.fullmatch(name)
    if found is None:
        raise ValueError(f"'{name[:100]}' is not the name of a member")
    return int(found[1]), found[2]


def bands_by_pixel(bands: Iterable[str]) -> dict[int, tuple[str, ...]]:
    """Group bands by native pixel size in metres, keeping their order."""
    bands = tuple(bands)
    sides = sorted({BAND_PIXEL_M[band] for band in bands})
    return {side: tuple(b for b in bands if BAND_PIXEL_M[b] == side) for side in sides}


def stack_layout(settings: Mapping[str, Any]) -> StackLayout:
    """Layout of the stacks, by `settings` in dataset.json; see `layout_record`."""
    default = StackLayout()
    tiles = settings.get("tiles") or dict.fromkeys(default.periods, default.tiles)
    patch_px = settings.get("patch_px", PATCH_PX)
    return StackLayout(tuple(tiles), next(iter(tiles.values())), patch_px)


def layout_record(layout: StackLayout) -> dict[str, Any]:
    """Values of `settings` in dataset.json for a layout, without those that have their default.

    `tiles` has the number of tiles by the name of the period, in order of time.
    """
    default = StackLayout()
    record: dict[str, Any] = {}
    if (layout.periods, layout.tiles) != (default.periods, default.tiles):
        record["tiles"] = dict.fromkeys(layout.periods, layout.tiles)
    if layout.patch_px != default.patch_px:
        record["patch_px"] = layout.patch_px
    return record


def member_shapes(bands: Iterable[str], layout: StackLayout) -> dict[MemberSuffix, tuple[int, ...]]:
    """Array shapes of the members of one period: (T, C, H, W), and (T, H, W) for `_scl`."""
    shapes: dict[MemberSuffix, tuple[int, ...]] = {}
    for pixel_m, group in bands_by_pixel(bands).items():
        side = layout.patch_m // pixel_m
        shapes[SUFFIX_BY_PIXEL_M[pixel_m]] = (layout.tiles, len(group), side, side)
    side = layout.patch_m // SCL_PIXEL_M
    return shapes | {"_scl": (layout.tiles, side, side)}
