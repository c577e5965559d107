"""Names, schemas and constants of the format."""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa

from caco_data.sentinel2 import BAND_PIXEL_M

FORMAT = "caco-data/1"
DESCRIPTION = "dataset.json"
INDEX = "index.parquet"
LOCATIONS = "locations.parquet"
REJECTED = "rejected.parquet"
#: Only with the simulated source: location_id, changed_fraction, land_cover.
TRUTH = "truth.parquet"
SHARDS = "shards"
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
#: Members of a period after the 10 m bands: name suffix, and prefix of their index columns.
EXTRA_MEMBERS = {"20": "b20_", "60": "b60_", "_scl": "scl_"}
_POSITION = [("offset", pa.int64()), ("nbytes", pa.int64()), ("sha256", pa.string())]
#: `offset`, `nbytes` and `sha256` are those of the member that holds the tile's 10 m bands; the
#: prefixed ones, null where there is no such member, of those that hold its 20 m and 60 m bands
#: and its SCL. The tile is entry `t` of the member's first axis.
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
        *_POSITION,
        *[(p + name, kind) for p in EXTRA_MEMBERS.values() for name, kind in _POSITION],
    ]
)


def bands_by_pixel(bands: Iterable[str]) -> dict[int, tuple[str, ...]]:
    """Group bands by native pixel side in metres, keeping their order."""
    bands = tuple(bands)
    sides = sorted({BAND_PIXEL_M[band] for band in bands})
    return {side: tuple(b for b in bands if BAND_PIXEL_M[b] == side) for side in sides}
