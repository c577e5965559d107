"""Picture of an audit: the AUROC of each statistic with its interval."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from caco_data.evaluation.audit_result import TOLERANCE, Audit, Statistic
from caco_data.evaluation.tile_statistics import STATISTICS

#: Height of an interval, inches.
_ROW = 0.13


def plot_audit(audit: Audit, path: Path) -> None:
    """Plot all statistics: a row for each, with one interval per band.

    Parameters
    ----------
    audit : Audit
        The result.
    path : Path
        PNG file to write.
    """
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    known = [one for one in audit.statistics if one.verdict != "unknown"]
    bands = list(dict.fromkeys(one.band for one in known if one.in_pixels))
    colours = colormaps["turbo"]
    colour = {band: colours((i + 0.5) / len(bands)) for i, band in enumerate(bands)} | {"": "black"}
    groups: dict[str, list[Statistic]] = {}
    for one in known:
        groups.setdefault(one.name, []).append(one)
    height = _ROW * (len(known) + 1.5 * len(groups)) + 1.5
    figure = Figure(figsize=(7.2, height), dpi=110, layout="constrained")
    axes: Any = figure.subplots()
    axes.axvspan(0.5 - TOLERANCE, 0.5 + TOLERANCE, color="0.9")
    axes.axvline(0.5, color="0.6", linewidth=0.8)
    ticks, y = [], 0.0
    for ones in groups.values():
        ticks.append(y + (len(ones) - 1) / 2)
        for one in ones:
            axes.plot([one.ci_lower, one.ci_upper], [y, y], color=colour[one.band], linewidth=1.2)
            marker = "X" if one.tells else "o"
            axes.plot(one.auroc, y, marker, color=colour[one.band], markersize=5)
            y += 1
        y += 1.5
    names = [name if name in STATISTICS else f"metadata: {name}" for name in groups]
    axes.set_yticks(ticks, names)
    axes.set_ylim(y - 0.5, -1.5)
    axes.set_xlim(-0.02, 1.02)
    axes.set_xlabel("AUROC: probability that the late tile of a slot has the higher value")
    for band in bands:
        axes.plot([], [], "o", color=colour[band], label=band)
    axes.plot([], [], "X", color="0.4", label="tells early\nfrom late")
    axes.legend(fontsize=7, loc="center left", bbox_to_anchor=(1.01, 0.5))
    verdict = "cheap statistics tell early from late" if audit.found else "no difference found"
    axes.set_title(f"{verdict}: {audit.locations} locations, {audit.pairs} pairs", fontsize=9)
    figure.savefig(path)
