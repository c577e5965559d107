"""Measurement of the simulated archive over time: likeness of dates, contrast, air, change."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import combinations

import numpy as np

from caco_data.sentinel2 import RGB_BANDS
from caco_data.sources.simulated.land_cover import Cover
from caco_data.types import Grid
from tests.support.image_statistics import (
    Floats,
    auroc,
    block_means,
    correlation,
    ndvi,
    without_coarse,
)
from tests.support.simulated_tiles import (
    as_eurosat,
    day,
    grid_at,
    ground_of,
    scenes_of,
    source,
)

Measured = dict[str, float]
FOUR = ("B2", "B3", "B4", "B8")
B4, B8 = 2, 3
FIELDS = (Cover.ANNUAL_CROP, Cover.PASTURE)
#: Boxes of longitude and latitude in which places are drawn.
NETHERLANDS, CENTRAL_EUROPE, EUROPE = (4.6, 51.4, 6.7, 53.0), (6, 46, 20, 53), (-5, 39, 27, 58)
CITIES = (
    (4.9, 52.37), (2.2, 41.42), (11.58, 48.14), (21.02, 52.23), (13.4, 52.5), (4.84, 45.76),
    (9.19, 45.46), (19.05, 47.5), (-1.9, 52.48), (23.7, 37.98),
)  # fmt: skip
#: First months of the intervals that are searched for clear tiles, by year.
SUMMERS = (
    (2018, 6), (2018, 7), (2018, 8), (2019, 7), (2020, 7), (2021, 7), (2022, 6), (2022, 7),
    (2022, 8),
)  # fmt: skip
OTHER_SEASONS = ((2018, 10), (2019, 2), (2019, 4), (2022, 4), (2022, 10))


@dataclass(frozen=True)
class Tile:
    """A clear tile."""

    acquired: datetime
    bands: Floats
    """(C, H, W), DN."""


def draw(box: tuple[float, float, float, float], count: int, seed: int) -> list[Grid]:
    """Grids at random points of a box."""
    west, south, east, north = box
    rng = np.random.default_rng(seed)
    points = zip(rng.uniform(west, east, count), rng.uniform(south, north, count), strict=True)
    return [grid_at(float(x), float(y)) for x, y in points]


def share(grid: Grid, covers: tuple[Cover, ...]) -> float:
    """Fraction of a grid with one of several classes before any change."""
    return float(np.isin(ground_of(grid)[0], covers).mean())


def clear(
    grid: Grid, start: datetime, end: datetime, count: int, bands: tuple[str, ...] = FOUR
) -> Iterator[Tile]:
    """At most `count` clear tiles of an interval, by date."""
    for scene in scenes_of(grid, start, end):
        if count and scene.cloud_pct < 12:
            tile = source().read_tile(scene, grid, (*bands, "SCL"))
            # Bright roofs and sand that are classified as cloud are clear, too.
            if not np.isin(tile[-1], (0, 3, 7, 9, 10)).any() and (tile[-1] == 8).mean() < 0.02:
                count -= 1
                yield Tile(scene.acquired, tile[:-1].astype(np.float64))


def series(grid: Grid, months: tuple[tuple[int, int], ...], count: int) -> list[Tile]:
    """Clear tiles of a place in several months, `count` in each."""
    return [
        tile
        for year, month in months
        for tile in clear(grid, day(year, month), day(year, month, 28), count)
    ]


def gap_of(a: datetime, b: datetime) -> str:
    """Kind of the gap between two dates; empty if it is of no kind."""
    days = abs((b - a).days)
    years = round(days / 365.25)
    season = abs(days - years * 365.25)
    if days <= 20:
        return "weeks" if days >= 7 else ""
    if days <= 45:
        return "month"
    if days < 300:
        return "season"
    if season <= 30:
        return "odd" if years % 2 else "even"
    return "other" if season >= 60 else ""


#: Gaps that the statistics of the classes use.
_GAPS = {"years": ("odd", "even"), "season": ("season", "other")}


def over_time() -> Measured:
    """Likeness of the same unchanged ground on two dates, by land cover and gap."""
    found: dict[str, list[float]] = defaultdict(list)
    kinds: tuple[tuple[str, list[Grid], tuple[Cover, ...]], ...] = (
        ("fields", draw(NETHERLANDS, 14, 1), FIELDS),
        ("town", [grid_at(*city) for city in CITIES[:6]], (Cover.RESIDENTIAL, Cover.INDUSTRIAL)),
        ("forest", draw(CENTRAL_EUROPE, 18, 2), (Cover.FOREST,)),
    )
    for kind, grids, covers in kinds:
        for grid in [grid for grid in grids if share(grid, covers) > 0.4][:6]:
            cover, change_day = ground_of(grid)
            where = np.isin(cover, covers) & np.isinf(change_day)
            tiles = series(grid, SUMMERS, 3) + series(grid, OTHER_SEASONS, 1)
            for a, b in combinations(tiles, 2):
                gap = gap_of(a.acquired, b.acquired)
                if gap:
                    one, other = (ndvi(t.bands[B4], t.bands[B8]) for t in (a, b))
                    found[f"{kind}.{gap}"].append(correlation(one[where], other[where]))
                    if kind == "fields" and gap in ("weeks", "odd", "even"):
                        fine = without_coarse(one)[where], without_coarse(other)[where]
                        found[f"fine.{gap}"].append(correlation(*fine))
            found[f"{kind}.contrast"] += [_log_spread(tiles, band) for band in (B4, B8)]
    measured = {f"time.{key}": float(np.median(v)) for key, v in found.items()}
    measured |= {f"time.{k}.p10": float(np.percentile(v, 10)) for k, v in found.items()}
    measured |= {f"time.{k}.p90": float(np.percentile(v, 90)) for k, v in found.items()}
    for kind in ("fields", "town", "forest", "fine"):
        for name, gaps in _GAPS.items():
            values = [value for gap in gaps for value in found[f"{kind}.{gap}"]]
            if values:
                measured[f"time.{kind}.{name}"] = float(np.median(values))
    return measured


def _log_spread(tiles: list[Tile], band: int) -> float:
    """Deviation between years of the logarithm of a patch's standard deviation in July."""
    julys = [tile for tile in tiles if tile.acquired.month == 7]
    return float(np.std([np.log(tile.bands[band].std()) for tile in julys]))


def contrast() -> Measured:
    """Variation of the contrast of a patch between years, and correlations at 120 m."""
    logs: list[list[float]] = [[], []]
    coarse: list[list[float]] = [[], []]
    for grid in draw(CENTRAL_EUROPE, 10, 3):
        years = [next(clear(grid, day(y, 6, 15), day(y, 9), 1), None) for y in range(2017, 2023)]
        tiles = [tile for tile in years if tile]
        pair = list(clear(grid, day(2019, 5, 15), day(2019, 9, 15), 6))
        for k, band in enumerate((B4, B8)):
            if len(tiles) > 2:
                logs[k].append(float(np.std([np.log(t.bands[band].std()) for t in tiles])))
            for a, b in combinations(pair, 2):
                if (b.acquired - a.acquired).days <= 13:
                    both = (block_means(tile.bands[band], 12) for tile in (a, b))
                    coarse[k].append(correlation(*both))
    return {
        "contrast.B4": float(np.median(logs[0])), "contrast.B8": float(np.median(logs[1])),
        "time.coarse.B4": float(np.median(coarse[0])),
        "time.coarse.B8": float(np.median(coarse[1])),
    }  # fmt: skip


def air() -> Measured:
    """Changes of the means of clear patches within 13 days, by scene and within scenes."""
    changes, scene_changes, within = [], [], []
    for longitude, latitude in ((11.2, 48.4), (5.4, 47.5), (17.5, 51.6)):
        offsets = ((0, 0), (0.25, 0.1), (-0.2, 0.2), (0.1, -0.25), (-0.25, -0.15))
        means: dict[datetime, dict[int, Floats]] = defaultdict(dict)
        for k, (east, north) in enumerate(offsets):
            grid = grid_at(longitude + east, latitude + north)
            for year in (2018, 2019, 2020):
                for tile in clear(grid, day(year, 6, 10), day(year, 8, 20), 6):
                    means[tile.acquired][k] = tile.bands.mean((1, 2))
        for a, b in combinations(sorted(means), 2):
            if 0 < (b - a).days <= 13:
                both = means[a].keys() & means[b].keys()
                steps = [means[b][k] - means[a][k] for k in sorted(both)]
                changes += steps
                if len(steps) >= 3:
                    scene_changes.append(np.mean(steps, axis=0))
                    within += list(steps - np.mean(steps, axis=0))
    step = np.array(changes)
    spread = np.sqrt((step**2).mean(0) / 2)
    names = dict(zip(FOUR, spread, strict=True))
    between = np.asarray(np.corrcoef(step.T))
    measured = {f"air.{name}": float(value) for name, value in names.items()}
    measured |= {
        "air.B2-B4": float(between[0, 2]), "air.B2-B8": float(between[0, 3]),
        "air.B4-B8": float(between[2, 3]),
    }  # fmt: skip
    for label, steps in (("scene", scene_changes), ("within", within)):
        sizes = np.sqrt((np.array(steps) ** 2).mean(0) / 2) if steps else np.full(4, np.nan)
        measured |= {f"air.{label}.{n}": float(v) for n, v in zip(FOUR, sizes, strict=True)}
    return measured


def changes() -> Measured:
    """Separation of changed from unchanged pixels by a plain difference of colours."""
    values: list[float] = []
    ratios: list[float] = []
    for k in range(80):
        x, y = CITIES[k % len(CITIES)]
        rng = np.random.default_rng(k)
        east, north = rng.uniform(-0.1, 0.1, 2).tolist()
        grid = grid_at(x + east, y + north)
        change_day = ground_of(grid)[1]
        days = [(day(year, 7) - day(2015, 7)).days for year in (2019, 2023)]
        changed = (change_day > days[0] + 40) & (change_day < days[1] - 40)
        never = np.isinf(change_day)
        if 0.03 < changed.mean() < 0.6 and never.mean() > 0.2 and len(values) < 14:
            tiles = [
                next(clear(grid, day(y, 6, 10), day(y, 8, 25), 1, RGB_BANDS), None)
                for y in (2019, 2023)
            ]
            if tiles[0] and tiles[1]:
                step = np.abs(as_eurosat(tiles[0].bands) - as_eurosat(tiles[1].bands)).mean(0)
                values.append(auroc(step[changed], step[never]))
                ratios.append(float(step[changed].mean() / step[never].mean()))
    return {"change.auroc": float(np.median(values)), "change.ratio": float(np.median(ratios))}
