"""Types and ranges of the fields of dataset.json that the program uses."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from tarfile import BLOCKSIZE
from typing import Any

from caco_data.dataset.arrays import member_formats
from caco_data.dataset.layout import INDEX, TABLES, is_shard_name
from caco_data.dataset.origin import MAX_LOCATION_ID, Origin
from caco_data.dataset.scan import MAX_JSON_NBYTES
from caco_data.sentinel2 import BAND_PIXEL_M
from caco_data.types import (
    MANY_PERIODS,
    MAX_PATCH_PX,
    MAX_TILES,
    MIN_PATCH_PX,
    PATCH_STEP_PX,
    PERIOD_NAMES,
)

#: Maximum length of a text, characters.
_TEXT = 10_000
_MAX = 2**53
MAX_LOCATIONS_PER_SHARD = 100_000
_SHA256 = re.compile(r"[0-9a-f]{64}")
#: Sizes of the header of a member, and of a tar's end at most, bytes.
_HEADER, _END = 1024, 20_480

Check = Callable[[Any], bool]


def _integer(low: int, high: int = _MAX) -> Check:
    return lambda value: type(value) is int and low <= value <= high


def _text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= _TEXT


def _digest(value: Any) -> bool:
    return isinstance(value, str) and _SHA256.fullmatch(value) is not None


def _bands(value: Any) -> bool:
    return (
        isinstance(value, list)
        and 0 < len(value) <= len(BAND_PIXEL_M)
        and all(isinstance(band, str) and band in BAND_PIXEL_M for band in value)
        and len(set(value)) == len(value)
    )


def _reasons(value: Any) -> bool:
    count = _integer(0)
    return isinstance(value, dict) and all(_text(k) and count(n) for k, n in value.items())


def _tables(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and INDEX in value
        and all(name in TABLES and _digest(digest) for name, digest in value.items())
    )


def _merged(value: Any) -> bool:
    """Whether a list describes the parts of a merged data set."""
    offset = _integer(-MAX_LOCATION_ID, MAX_LOCATION_ID)
    return isinstance(value, list) and all(
        isinstance(part, dict)
        and _text(part.get("name"))
        and _digest(part.get("sha256"))
        and _integer(0)(part.get("locations"))
        and offset(part.get("location_offset"))
        for part in value
    )


def _tiles(value: Any) -> bool:
    """Whether a mapping has the same number of tiles for each of some periods."""
    return value is None or (
        isinstance(value, dict)
        and 0 < len(value) <= len(MANY_PERIODS)
        and all(name in PERIOD_NAMES for name in value)
        and all(_integer(1, MAX_TILES)(count) for count in value.values())
        and len(set(value.values())) == 1
    )


def _patch_px(value: Any) -> bool:
    return value is None or (
        _integer(MIN_PATCH_PX, MAX_PATCH_PX)(value) and not value % PATCH_STEP_PX
    )


def _one_of(*choices: str) -> Check:
    return lambda value: isinstance(value, str) and value in choices


#: Check of each field of every data set, by the path to it.
_ALWAYS: dict[str, Check] = {
    "software": _text,
    "complete": lambda value: isinstance(value, bool),
    "source.name": _text,
    "source.collection": _text,
    "settings.bands": _bands,
    "settings.dtype": _one_of("uint16", "uint8"),
    "settings.compress": _one_of("none", "zstd"),
    "settings.locations_per_shard": _integer(1, MAX_LOCATIONS_PER_SHARD),
    "settings.tiles": _tiles,
    "settings.patch_px": _patch_px,
}
#: The same of a finished data set.
_FINISHED: dict[str, Check] = {
    "counts.locations": _integer(0),
    "counts.complete": _integer(0),
    "counts.nbytes": _integer(0),
    "counts.rejected": _reasons,
    "tables": _tables,
    "shards": lambda value: isinstance(value, list),
    "sha256": _digest,
}


def check_description(meta: Mapping[str, Any]) -> None:
    """Check the content of dataset.json.

    Parameters
    ----------
    meta : mapping
        Parsed content.

    Raises
    ------
    ValueError
        For the first field that is missing or has another type or range than the format's.
    """
    _check_fields(meta, _ALWAYS)
    if meta["complete"]:
        _check_fields(meta, _FINISHED)
        _check_shards(meta)


def _check_fields(meta: Mapping[str, Any], checks: Mapping[str, Check]) -> None:
    for path, check in checks.items():
        value: Any = meta
        for name in path.split("."):
            value = value.get(name) if isinstance(value, dict) else None
        if not check(value):
            raise ValueError(f"the value of '{path}' is not valid: {_shown(value)}")


def _check_shards(meta: Mapping[str, Any]) -> None:
    """Check names, sizes and digests of the shards; ValueError for the first invalid one."""
    limit = max_shard_nbytes(meta["settings"])
    previous, total = "", 0
    for shard in meta["shards"]:
        if not isinstance(shard, dict) or not is_shard_name(shard.get("name")):
            raise ValueError(f"{_shown(shard)} is not a shard")
        name = str(shard["name"])
        if name <= previous:
            raise ValueError(f"shard {name} is not in order")
        if not _integer(0, limit)(shard.get("nbytes")) or not _digest(shard.get("sha256")):
            raise ValueError(f"size or digest of shard {name} are not valid")
        Origin.of(shard)
        previous, total = name, total + shard["nbytes"]
    if not _merged(meta.get("merged", [])):
        raise ValueError(f"the value of 'merged' is not valid: {_shown(meta['merged'])}")
    # Also limits the number of index rows.
    if meta["counts"]["complete"] * _min_location_nbytes(meta["settings"]) > total:
        raise ValueError(f"{meta['counts']['complete']} locations do not fit into {total} bytes")


def max_shard_nbytes(settings: Mapping[str, Any]) -> int:
    """Maximum size of a shard that the settings in dataset.json permit."""
    formats = member_formats(settings).values()
    members = sum(one.max_nbytes + _HEADER for one in formats) + MAX_JSON_NBYTES + _HEADER
    return int(settings["locations_per_shard"]) * members + _END


def _min_location_nbytes(settings: Mapping[str, Any]) -> int:
    """Minimum size of a location in a shard; a member takes at least two blocks."""
    formats = member_formats(settings).values()
    arrays = sum(2 * BLOCKSIZE if one.compressed else one.nbytes + BLOCKSIZE for one in formats)
    return arrays + 2 * BLOCKSIZE


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
