"""Summary of a data set."""

from __future__ import annotations

from typing import Any

import pyarrow.compute as pc

from caco_data.dataset.events import summarise_events
from caco_data.dataset.leftovers import leftovers
from caco_data.dataset.reader import Dataset
from caco_data.types import PERIODS


def summarise(dataset: Dataset) -> dict[str, Any]:
    """Summarise a data set's settings, counts, dates, sizes and the events of its downloads.

    Returns
    -------
    dict
        JSON-ready: format, source, bands, counts, dates, clear fractions, bytes, names of leftover
        files, events. Fractions are 0..1; `first` and `last` are ISO 8601 UTC, None without tiles.
        `events` is None without `events.jsonl`.
    """
    meta, index = dataset.meta, dataset.index
    periods: dict[str, Any] = {}
    for period in PERIODS:
        rows = index.filter(pc.equal(index["period"], period))
        span = pc.min_max(rows["acquired"]).as_py()
        periods[period] = {
            "tiles": rows.num_rows,
            "first": span["min"] and span["min"].isoformat(),
            "last": span["max"] and span["max"].isoformat(),
            "mean_clear_fraction": pc.mean(rows["clear_fraction"]).as_py(),
            "mean_cloud_pct": pc.mean(rows["cloud_pct"]).as_py(),
        }
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
        "utm_zones": len(pc.unique(index["crs"])),
        "shards": len(meta["shards"]),
        "periods": periods,
        "events": summarise_events(dataset.storage),
        "digest": dataset.digest,
        "leftovers": list(leftovers(dataset.storage)),
    }
