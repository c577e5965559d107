"""Summary of a data set, as JSON or as text."""

from __future__ import annotations

from typing import Any

import pyarrow.compute as pc

from caco_data.dataset.reader import Dataset
from caco_data.types import PERIODS


def summarise(dataset: Dataset) -> dict[str, Any]:
    """Summarise a data set's settings, counts, dates and sizes.

    Returns
    -------
    dict
        JSON-ready: format, source, bands, counts, dates, clear fractions, bytes. Fractions are
        0..1; `first` and `last` are ISO 8601 UTC, None without tiles.
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
        "digest": dataset.digest,
    }


def as_text(summary: dict[str, Any]) -> str:
    """Lay a summary out for reading."""
    counts = summary["counts"]
    rejected = counts["rejected"]
    lines = [
        ("data set", summary["dataset"]),
        ("format", f"{summary['format']}, written by {summary['software']}"),
        ("source", f"{summary['source']} ({summary['collection']})"),
        ("bands", f"{', '.join(summary['bands'])} as {summary['dtype']}"
                  f"{'' if summary['compress'] == 'none' else ', ' + summary['compress']}"),
        ("locations", f"{counts['complete']} complete of {counts['locations']}"),
        ("rejected", ", ".join(f"{n} {reason}" for reason, n in rejected.items()) or "none"),
        ("shards", f"{summary['shards']}, {counts['nbytes'] / 1e6:.1f} MB"),
        ("UTM zones", str(summary["utm_zones"])),
    ]  # fmt: skip
    for name, period in summary["periods"].items():
        if period["tiles"]:
            lines.append(
                (
                    name,
                    f"{period['tiles']} tiles, {period['first'][:10]} to {period['last'][:10]}, "
                    f"{period['mean_clear_fraction']:.1%} clear",
                )
            )
    width = max(len(label) for label, _ in lines)
    return "\n".join(f"{label:<{width}}  {text}" for label, text in lines)
