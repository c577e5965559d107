"""Pairs of tiles for an audit: which locations, and the statistics of their tiles.

A pair is the early and the late tile of one slot of one location, so that both are from one season.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caco_data.dataset.reader import Dataset
from caco_data.evaluation.settings import AuditSettings
from caco_data.evaluation.tile_statistics import STATISTICS, UINT8_DN, tile_statistics
from caco_data.training.local_ratio import local_change
from caco_data.training.truth import CHANGED_FRACTION, read_truth

#: Name and band of a statistic; the band is empty for metadata.
Key = tuple[str, str]
#: Metadata by name, with their meaning.
METADATA = {
    "baseline": "processing baseline",
    "offset": "DN subtracted from those of the files",
    "platform": "satellite, A to D as 0 to 3",
    "cloud mask": "none, scl and cs+ as 0, 1 and 2",
    "clear": "clear fraction of the patch",
    "cloud": "cloud cover of the scene, percent",
    "day": "day of the year",
}
DAY: Key = ("day", "")
_MASKS = {"none": 0.0, "scl": 1.0, "cs+": 2.0}
_COLUMNS = (
    "location_id", "period", "t", "image_id", "acquired", "cloud_pct", "clear_fraction",
    "cloud_mask", "baseline", "offset_dn",
)  # fmt: skip


@dataclass(frozen=True)
class Pairs:
    """Statistics of the tiles of locations that did not change."""

    ids: NDArray[np.int64]
    """(L,), the locations."""
    choice: str
    """How they were chosen, in words."""
    values: Mapping[Key, NDArray[np.float64]]
    """(L, 2, T) by statistic and band: early, late; NaN where unknown."""

    def differences(self, key: Key) -> NDArray[np.float64]:
        """Late value minus early value of each pair, (L, T)."""
        found = self.values[key]
        difference: NDArray[np.float64] = found[:, 1] - found[:, 0]
        return (difference + 183) % 366 - 183 if key == DAY else difference


def read_pairs(
    dataset: Dataset, settings: AuditSettings, progress: Callable[[str, int, int], None]
) -> Pairs:
    """Choose the locations that did not change, and compute the statistics of their tiles.

    With truth.parquet they are those with at most 2 % of changed pixels; otherwise the half with
    the smaller change by the estimate of `train` (`local_change`), which does not depend on
    brightness and contrast of a tile.

    Raises
    ------
    InputError
        When the data set has no locations.
    DatasetError
        When a tile cannot be read.
    """
    _ = dataset.first_and_last  # an error before anything is read
    every = dataset.stacks().location_ids
    changed = read_truth(dataset, every)
    pool = every if changed is None else every[~changed]
    ids = pool
    if len(pool) > settings.max_locations:
        rng = np.random.default_rng(settings.seed)
        ids = np.sort(rng.choice(pool, settings.max_locations, replace=False))
    read = f"{len(ids)} of " if len(ids) < len(pool) else ""
    pixels: dict[Key, list[NDArray[np.float64]]] = {}
    ratios = []
    for done, location_id in enumerate(ids.tolist(), 1):
        found, ratio = _read(dataset, location_id, with_ratio=changed is None)
        for key, one in found.items():
            pixels.setdefault(key, []).append(one)
        ratios.append(ratio)
        progress("tiles", done, len(ids))
    values = {key: np.stack(rows) for key, rows in pixels.items()} | _metadata(dataset, ids)
    if changed is not None:
        choice = (
            f"{read}{len(pool)} unchanged of {len(every)} (truth.parquet: at most "
            f"{CHANGED_FRACTION:.0%} of the pixels changed)"
        )
        return Pairs(ids, choice, values)
    keep = np.array(ratios) <= np.median(ratios)
    choice = (
        f"{keep.sum()} with the least change of {read}{len(pool)} (no truth.parquet: up to the "
        "median of the change estimate)"
    )
    return Pairs(ids[keep], choice, {key: array[keep] for key, array in values.items()})


def _read(
    dataset: Dataset, location_id: int, with_ratio: bool
) -> tuple[dict[Key, NDArray[np.float64]], float]:
    """Statistics of a location, (2, T) each, and its change ratio."""
    found: dict[Key, NDArray[np.float64]] = {}
    ratio = float("nan")
    for suffix, bands in dataset.member_bands.items():  # the finest first
        tiles = np.stack(
            [dataset.read_member(location_id, p, suffix) for p in dataset.first_and_last]
        )
        if with_ratio and np.isnan(ratio):
            dn = UINT8_DN if tiles.dtype == np.uint8 else 1.0
            ratio = local_change(tiles, dn, dataset.layout.patch_px)[0]
        measured = [tile_statistics(period) for period in tiles]
        for name in STATISTICS:
            for i, band in enumerate(bands):
                found[name, band] = np.stack([one[name][:, i] for one in measured])
    return found, ratio


def _metadata(dataset: Dataset, ids: NDArray[np.int64]) -> dict[Key, NDArray[np.float64]]:
    """Metadata of all tiles, (L, 2, T) each."""
    rows = dataset.index.of(ids.tolist(), _COLUMNS).to_pylist()
    places = {location_id: i for i, location_id in enumerate(ids.tolist())}
    periods = dataset.first_and_last
    shape = (len(ids), len(periods), dataset.layout.tiles)
    values = {name: np.full(shape, np.nan) for name in METADATA}
    for row in rows:
        if row["period"] not in periods:
            continue
        place = places[row["location_id"]], periods.index(row["period"]), row["t"]
        for name, value in _numbers(row).items():
            if value is not None:
                values[name][place] = value
    return {(name, ""): array for name, array in values.items()}


def _numbers(row: Mapping[str, Any]) -> dict[str, float | None]:
    """Metadata of a tile as numbers; None where unknown."""
    platform = re.search(r"S2([A-D])(?![A-Z0-9])", row["image_id"] or "")
    baseline = re.fullmatch(r"\d{1,2}\.\d{1,2}", row["baseline"] or "")
    return {
        "baseline": float(baseline[0]) if baseline else None,
        "offset": row["offset_dn"],
        "platform": float("ABCD".index(platform[1])) if platform else None,
        "cloud mask": _MASKS.get(row["cloud_mask"]),
        "clear": row["clear_fraction"],
        "cloud": row["cloud_pct"],
        "day": None if row["acquired"] is None else float(row["acquired"].timetuple().tm_yday),
    }
