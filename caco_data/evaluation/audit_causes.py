"""Likely causes of differences between early and late tiles, from the pattern of the statistics."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from caco_data.evaluation.audit_data import Pairs
from caco_data.evaluation.audit_result import Statistic

#: Statistics of the brightness; a constant shifts all of them alike, a factor scales them.
_BRIGHTNESS = ("mean", "p1", "p50", "p99")
#: Relative deviation of the shifts, or the factors, of one band that still count as equal.
_ALIKE = 0.25
#: Offset of products since baseline 04.00, DN, and its baseline.
_OFFSET_DN, _OFFSET_BASELINE = 1000, 4.0
_OTHER = {
    "noise": "noise differs: other resampling, compression or processing",
    "edges": "sharpness differs: resampling or misregistration",
    "saturated": "pixels saturate in one period only: other clipping or scale",
    "zero": "pixels are 0 in one period only: values were clipped, or an offset was removed twice",
    "values": "the number of different values differs: other encoding or precision",
}


def likely_causes(statistics: Sequence[Statistic], pairs: Pairs) -> tuple[str, ...]:
    """Name the likely causes of the differences, the most likely first.

    Parameters
    ----------
    statistics : sequence of Statistic
        All statistics.
    pairs : Pairs
        The pairs, for their baselines.
    """
    by_band: dict[str, dict[str, Statistic]] = {}
    for one in statistics:
        if one.in_pixels and one.tells:
            by_band.setdefault(one.band, {})[one.name] = one
    shifts: dict[str, float] = {}
    factors: dict[str, float] = {}
    brightness: list[str] = []
    for band, found in by_band.items():
        ones = [found[name] for name in _BRIGHTNESS if name in found]
        if len(ones) == len(_BRIGHTNESS) and _equal(one.difference for one in ones):
            shifts[band] = ones[0].difference
        elif len(ones) == len(_BRIGHTNESS) and _equal(_log_factor(one) for one in ones):
            factors[band] = float(np.exp(_log_factor(ones[0])))
        elif ones:
            brightness.append(band)
    causes = _shift_causes(shifts, pairs)
    if factors:
        middle = float(np.median(list(factors.values())))
        causes.append(
            f"{', '.join(factors)}: late values are about {middle:.2f} times the early ones: "
            "other scale or encoding"
        )
    if brightness:
        causes.append(
            f"{', '.join(brightness)}: brightness differs: other scenes (season, haze, time of "
            "day), or changes on the ground"
        )
    for name, text in _OTHER.items():
        explained = {*factors, *shifts} if name in ("saturated", "zero") else factors
        bands = [b for b, found in by_band.items() if name in found and b not in explained]
        if bands:
            causes.append(f"{', '.join(bands)}: {text}")
    return tuple(causes)


def _shift_causes(shifts: dict[str, float], pairs: Pairs) -> list[str]:
    if not shifts:
        return []
    middle = float(np.median(list(shifts.values())))
    text = f"{', '.join(shifts)}: about {middle:+,.0f} DN were added to the late tiles: "
    if abs(abs(middle) - _OFFSET_DN) > _ALIKE * _OFFSET_DN:
        return [text + "other offset or atmospheric correction"]
    where = "late" if middle > 0 else "early"
    causes = [
        f"{text}the offset of products since baseline 04.00 is still in the {where} tiles, or was "
        f"removed from the {'early' if middle > 0 else 'late'} ones, which had none"
    ]
    baseline = pairs.values["baseline", ""]
    known = np.isfinite(baseline).all(1)
    if known.any():
        early, late = (baseline[:, i][known] >= _OFFSET_BASELINE for i in (0, 1))
        share = float(np.mean(late & ~early))
        causes[0] += (
            f" ({share:.0%} of the pairs have baseline 04.00 or newer in the late tile only)"
        )
    return causes


def _log_factor(one: Statistic) -> float:
    return float(np.log(max(one.late, 1.0) / max(one.early, 1.0)))


def _equal(values: Iterable[float]) -> bool:
    """Whether values are about equal, and not 0."""
    found = np.array(list(values))
    middle = np.median(found)
    return bool(np.all(np.abs(found - middle) <= _ALIKE * abs(middle)) and middle)
