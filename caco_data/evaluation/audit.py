"""Audit of a data set: whether cheap statistics tell early tiles from late ones.

An encoder that is trained to tell the periods of a location apart learns whatever does so. Where
nothing changed on the ground, nothing should: neither the brightness nor the noise of a tile. The
AUROC of a statistic is the probability that, of the two tiles of a slot, the late one has the
higher value (ties count half); its interval is from resampled locations.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caco_data.dataset.reader import open_dataset
from caco_data.errors import InputError
from caco_data.evaluation.audit_causes import likely_causes
from caco_data.evaluation.audit_data import METADATA, Key, Pairs, read_pairs
from caco_data.evaluation.audit_picture import plot_audit
from caco_data.evaluation.audit_result import TOLERANCE, Audit, Statistic, Verdict
from caco_data.evaluation.results import SOFTWARE
from caco_data.evaluation.settings import AuditSettings
from caco_data.evaluation.tile_statistics import STATISTICS
from caco_data.evaluation.uncertainty import interval
from caco_data.storage import LocalStorage, write_json

#: Half width of the intervals that the recommended number of locations gives.
_HALF_WIDTH = 0.025
#: With fewer locations, every statistic is undecided.
MIN_LOCATIONS = 30
#: Version of audit.json.
FORMAT = "caco-audit/1"
JSON, PICTURE = "audit.json", "audit.png"


def audit(
    root: str, settings: AuditSettings, progress: Callable[[str, int, int], None] = lambda *_: None
) -> Audit:
    """Audit a data set; write `audit.json` and `audit.png`.

    Parameters
    ----------
    root : str
        Path or URL of the data set, of any source.
    settings : AuditSettings
        Output, number of locations and of resamples.
    progress : callable
        Called with the name of a step, the units done and their number.

    Raises
    ------
    InputError
        When there is no data set, or it has no unchanged locations.
    DatasetError
        When it is damaged.
    """
    settings.check()
    dataset = open_dataset(root)
    out = Path(settings.out)
    out.mkdir(parents=True, exist_ok=True)
    pairs = read_pairs(dataset, settings, progress)
    if not len(pairs.ids):
        raise InputError("All locations changed", root, "Use more locations")
    statistics = measure_pairs(pairs, settings.bootstrap, settings.seed)
    found = Audit(
        len(pairs.ids), pairs.choice, pairs.ids.size * pairs.values["baseline", ""].shape[2],
        statistics, needed_locations(statistics, len(pairs.ids)), likely_causes(statistics, pairs),
        (str(out / JSON), str(out / PICTURE)),
    )  # fmt: skip
    storage = LocalStorage(settings.out)
    write_json(
        storage,
        JSON,
        {
            "format": FORMAT, "software": SOFTWARE, "data_digest": dataset.digest,
            "source": dataset.meta["source"], "settings": asdict(settings),
            "locations": found.locations, "choice": found.choice, "pairs": found.pairs,
            "needed_locations": found.needed, "tells_apart": bool(found.found),
            "causes": list(found.causes), "statistics": [_record(one) for one in statistics],
        },
    )  # fmt: skip
    plot_audit(found, out / PICTURE)
    return found


def measure_pairs(pairs: Pairs, resamples: int, seed: int) -> tuple[Statistic, ...]:
    """Measure all statistics, metadata last."""
    count = len(pairs.ids)
    rng = np.random.default_rng(seed)
    # (B, L): how often each resample contains each location.
    weights = rng.multinomial(count, np.full(count, 1 / count), resamples).astype(np.float64)
    order = [key for name in STATISTICS for key in pairs.values if key[0] == name and key[1]]
    return tuple(_measure(pairs, key, weights) for key in [*order, *((n, "") for n in METADATA)])


def _measure(pairs: Pairs, key: Key, weights: NDArray[np.float64]) -> Statistic:
    difference = pairs.differences(key)
    known = np.isfinite(difference)
    meaning = (STATISTICS if key[1] else METADATA)[key[0]]
    if not known.any():
        nan = float("nan")
        return Statistic(*key, meaning, 0, nan, nan, nan, nan, nan, nan, "unknown")
    higher = np.where(known, (difference > 0) + 0.5 * (difference == 0), 0).sum(1)
    with np.errstate(invalid="ignore"):  # a resample without known pairs
        low, high = interval((weights @ higher) / (weights @ known.sum(1)))
    early, late = (np.median(pairs.values[key][:, i][known]) for i in (0, 1))
    return Statistic(
        *key, meaning, int(known.sum()), float(early), float(late),
        float(np.median(difference[known])), float(higher.sum() / known.sum()), low, high,
        _verdict(low, high, int(known.any(1).sum())),
    )  # fmt: skip


def _verdict(low: float, high: float, locations: int) -> Verdict:
    if locations >= MIN_LOCATIONS:
        if low > 0.5 + TOLERANCE or high < 0.5 - TOLERANCE:
            return "tells early from late"
        if low >= 0.5 - TOLERANCE and high <= 0.5 + TOLERANCE:
            return "does not"
    return "undecided"


def needed_locations(statistics: tuple[Statistic, ...], locations: int) -> int:
    """Unchanged locations with which no interval of the pixels is wider than 0.05."""
    widest = max(one.ci_upper - one.ci_lower for one in statistics if one.in_pixels)
    return max(MIN_LOCATIONS, int(np.ceil(locations * (widest / 2 / _HALF_WIDTH) ** 2)))


def _record(one: Statistic) -> dict[str, Any]:
    """JSON values; those that are not numbers are null."""
    return {
        name: (round(value, 6) if np.isfinite(value) else None)
        if isinstance(value, float)
        else value
        for name, value in asdict(one).items()
    }
