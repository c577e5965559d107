"""Summary of a data set."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from caco_data.dataset.events import summarise_events
from caco_data.dataset.index import Index
from caco_data.dataset.layout import INDEX, SHARDS, shard_file
from caco_data.dataset.leftovers import leftovers
from caco_data.dataset.reader import Dataset
from caco_data.errors import REPAIR_REMEDY, DatasetError


def summarise(dataset: Dataset) -> dict[str, Any]:
    """Summarise a data set's settings, counts, dates, sizes and the events of its downloads.

    Returns
    -------
    dict
        JSON-ready: format, source, bands, counts, dates, clear fractions, bytes, names of the
        shards that are missing or have another size, of the merged data sets and of leftover files,
        events. Fractions are 0..1; `first` and `last` are ISO 8601 UTC, None without tiles.
        `events` is None without `events.jsonl`.
    """
    meta = dataset.meta
    periods, zones = statistics(dataset.index)
    settings = meta["settings"]
    return {
        "dataset": dataset.root,
        "format": meta["format"],
        "software": meta["software"],
        "source": meta["source"]["name"],
        "collection": meta["source"]["collection"],
        "bands": settings["bands"],
        "dtype": settings["dtype"],
        "compress": settings["compress"],
        "counts": meta["counts"],
        "utm_zones": zones,
        "shards": len(meta["shards"]),
        "damaged_shards": _damaged_shards(dataset),
        "periods": periods,
        "events": summarise_events(dataset.storage),
        "digest": dataset.digest,
        "merged": [part["name"] for part in meta.get("merged", ())],
        "leftovers": list(leftovers(dataset.storage)),
    }


def _damaged_shards(dataset: Dataset) -> list[str]:
    """Names of the shards that are missing or have another size than in dataset.json."""
    sizes = dataset.storage.sizes(SHARDS)
    shards = dataset.meta["shards"]
    return [s["name"] for s in shards if sizes.get(shard_file(s["name"])) != s["nbytes"]]


#: Aggregates of a period's rows.
_AGGREGATES = (
    ("period", "count"),
    ("acquired", "min"),
    ("acquired", "max"),
    ("clear_fraction", "sum"),
    ("cloud_pct", "sum"),
)


def statistics(index: Index) -> tuple[dict[str, Any], int]:
    """Statistics of each period, and number of UTM zones.

    Reads five columns in one pass, in constant memory.

    Raises
    ------
    DatasetError
        When the index has rows of another period, or without values.
    """
    parts = []
    zones: set[str] = set()
    for part in index.parts(["period", "acquired", "clear_fraction", "cloud_pct", "crs"]):
        parts.append(part.group_by("period", use_threads=False).aggregate(_AGGREGATES))
        zones.update(part["crs"].unique().to_pylist())
    found: dict[str, list[dict[str, Any]]] = {period: [] for period in index.layout.periods}
    for row in pa.concat_tables(parts).to_pylist() if parts else ():
        if row["period"] not in found or None in row.values():
            raise DatasetError("Rows of the index lack values", INDEX, REPAIR_REMEDY)
        found[row["period"]].append(row)
    return {period: _joined(rows) for period, rows in found.items()}, len(zones)


def _joined(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Statistics of one period from the aggregates of parts of its rows."""
    tiles = sum(row["period_count"] for row in rows)
    return {
        "tiles": tiles,
        "first": min(row["acquired_min"] for row in rows).isoformat() if rows else None,
        "last": max(row["acquired_max"] for row in rows).isoformat() if rows else None,
        "mean_clear_fraction": _mean(rows, "clear_fraction_sum", tiles),
        "mean_cloud_pct": _mean(rows, "cloud_pct_sum", tiles),
    }


def _mean(rows: list[dict[str, Any]], name: str, count: int) -> float | None:
    return sum(row[name] for row in rows) / count if count else None
