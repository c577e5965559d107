"""Measurement of simulated images: level, clouds, water, colour and texture by class."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from datetime import timedelta
from functools import lru_cache

import numpy as np

from caco_data.sentinel2 import ALL_BANDS
from caco_data.sources.simulated.land_cover import Cover
from caco_data.types import Grid
from tests.support.image_statistics import (
    Floats,
    autocorrelation,
    beyond_three_components,
    block_means,
    fine_share,
    fourfold_order,
    gradient_energy,
    ndvi,
    noise_floor,
    power_slope,
)
from tests.support.simulated_measures import (
    B4,
    B8,
    CENTRAL_EUROPE,
    CITIES,
    EUROPE,
    FIELDS,
    FOUR,
    NETHERLANDS,
    Measured,
    clear,
    draw,
    series,
    share,
)
from tests.support.simulated_tiles import (
    as_eurosat,
    day,
    grid_at,
    ground_of,
    scenes_of,
    source,
)


def level() -> Measured:
    """Brightness of patches in August, and NDVI of fields through the year."""
    eights, reds = [], []
    for grid in draw(CENTRAL_EUROPE, 30, 4):
        for tile in clear(grid, day(2020, 8), day(2020, 9), 1):
            eights.append(np.median(tile.bands[B8]))
            reds.append(np.median(tile.bands[B4]))
    low, middle, high = np.percentile(eights, (5, 50, 95))
    summer, months = [], defaultdict(list)
    for grid in [g for g in draw(NETHERLANDS, 12, 1) if share(g, FIELDS) > 0.4][:6]:
        where = np.isin(ground_of(grid)[0], FIELDS)
        for month in range(3, 11):
            for tile in clear(grid, day(2020, month), day(2020, month, 28), 1):
                value = float(np.median(ndvi(tile.bands[B4], tile.bands[B8])[where]))
                months[month].append(value)
                if month in (7, 8):
                    summer.append(value)
    peak = max(months, key=lambda month: float(np.mean(months[month])))
    return {
        "level.B8.p5": float(low), "level.B8.p50": float(middle), "level.B8.p95": float(high),
        "level.B4.spread": float(np.std(reds)), "level.fields.ndvi": float(np.mean(summer)),
        "level.peak_month": float(peak),
    }  # fmt: skip


def clouds() -> Measured:
    """Brightness, structure, shadows and size of clouds."""
    thick: list[float] = []
    spreads, thin, shadow, far = [], [], [], []
    for grid in draw(CENTRAL_EUROPE, 3, 5):
        wide = Grid(grid.epsg, grid.left_m, grid.top_m, 600, 600)
        scenes = [s for s in scenes_of(wide, day(2019, 5), day(2019, 9)) if 15 < s.cloud_pct < 75]
        for scene in scenes[:10]:
            red, scl = source().read_tile(scene, wide, ("B4", "SCL"))
            cloudy = np.isin(scl, (8, 9, 10))
            if 0.03 < cloudy.mean() < 0.97 and (scl == 9).sum() > 500:
                values = red[scl == 9].astype(np.float64)
                thick += values[:: max(values.size // 1000, 1)].tolist()
                spreads.append(values.std() / values.mean())
                thin.append((cloudy & (scl != 9)).sum() / cloudy.sum())
                shadow.append((scl == 3).sum() / cloudy.sum())
                far.append(autocorrelation(cloudy.astype(np.float64), 190))
    clear_patches, cloud_scenes = 0, 0
    for grid in draw(CENTRAL_EUROPE, 8, 6):
        for scene in scenes_of(grid, day(2019, 4), day(2020, 4)):
            if 30 < scene.cloud_pct < 60:
                scl = source().read_tile(scene, grid, ("SCL",))[0]
                cloud_scenes += 1
                clear_patches += bool(np.isin(scl, (3, 8, 9, 10)).mean() < 0.01)
    median, high = np.percentile(thick, (50, 98))
    return {
        "cloud.B4.median": float(median), "cloud.B4.p98": float(high),
        "cloud.spread": float(np.median(spreads)), "cloud.thin": float(np.mean(thin)),
        "cloud.shadow": float(np.mean(shadow)), "cloud.autocorrelation": float(np.mean(far)),
        "cloud.clear_patches": clear_patches / max(cloud_scenes, 1),
    }  # fmt: skip


def water() -> Measured:
    """Colours of lakes and rivers on several dates."""
    logs, red_range = [], []
    for grid in draw(EUROPE, 60, 7):
        where = np.isin(ground_of(grid)[0], (Cover.LAKE, Cover.RIVER))
        if where.mean() > 0.03:
            tiles = series(grid, ((2019, 3), (2019, 6), (2019, 9), (2020, 4), (2020, 7)), 2)
            dates = np.array([np.median(tile.bands[:3, where], axis=1) for tile in tiles])
            if len(dates) > 3:
                logs.append(np.log(np.maximum(dates, 30)).std(0))
                red_range.append(dates[:, 2].max() / max(dates[:, 2].min(), 30))
    spread = np.median(logs, axis=0) if logs else np.full(3, np.nan)
    measured = {f"water.{n}": float(v) for n, v in zip(FOUR[:3], spread, strict=True)}
    return measured | {"water.red_range": float(np.median(red_range)) if logs else np.nan}


@lru_cache(maxsize=1)
def _windows() -> dict[Cover, list[tuple[Floats, Floats]]]:
    """Windows of 64 x 64 pixels by class: as 8-bit red, green and blue, and in DN."""
    found: dict[Cover, list[tuple[Floats, Floats]]] = defaultdict(list)
    rng = np.random.default_rng(8)
    fringes = [
        grid_at(x + float(a), y + float(b))
        for (x, y), (a, b) in zip(CITIES, rng.uniform(-0.12, 0.12, (10, 2)), strict=True)
    ]
    towns = [grid_at(*city) for city in CITIES[1:6]]
    shores = [grid_at(2.26, 41.43), grid_at(4.2, 52.1), grid_at(7.6, 43.72), grid_at(18.7, 54.5)]
    for k, grid in enumerate([*draw(EUROPE, 46, 9), *fringes, *towns, *shores]):
        cover = ground_of(grid)[0]
        # EuroSAT's images are of all seasons without snow.
        start = day(2018 + k % 3, 3 + 5 * k % 8)
        tile = next(clear(grid, start, start + timedelta(days=60), 1), None)
        if tile is None:
            continue
        rgb = as_eurosat(tile.bands[[2, 1, 0]])
        for i in range(0, 257 - 64, 64):
            for j in range(0, 257 - 64, 64):
                here = slice(i, i + 64), slice(j, j + 64)
                counts = np.bincount(cover[here].ravel(), minlength=len(Cover)) / 4096
                counts[Cover.SEA] += counts[Cover.LAKE]
                names = [c for c in Cover if counts[c] > (_SHARES.get(c, 2))]
                for name in names:
                    found[name].append((rgb[:, *here], tile.bands[:, *here]))
    return found


#: Minimum fraction of a class in its windows: EuroSAT's images of forest, water and pasture show
#: little else, those of the other classes also what lies between.
_SHARES = dict.fromkeys(
    (Cover.ANNUAL_CROP, Cover.HERBACEOUS, Cover.RESIDENTIAL, Cover.INDUSTRIAL),
    0.75,
) | {
    Cover.FOREST: 0.97, Cover.SEA: 0.99, Cover.PASTURE: 0.85, Cover.PERMANENT_CROP: 0.55,
    Cover.RIVER: 0.07, Cover.HIGHWAY: 0.03,
}  # fmt: skip


def classes() -> Measured:
    """Colour and texture by class, as 8-bit images like those of EuroSAT."""
    measured: Measured = {}
    for cover, pairs in _windows().items():
        name = cover.name.lower()
        means = np.array([rgb.mean((1, 2)) for rgb, _ in pairs])
        greys = [rgb.mean(axis=0) for rgb, _ in pairs]
        measured[f"class.{name}.windows"] = len(pairs)
        for k, letter in enumerate("RGB"):
            measured[f"class.{name}.mean.{letter}"] = float(means[:, k].mean())
            measured[f"class.{name}.between.{letter}"] = float(means[:, k].std())
            inside = [float(rgb[k].std()) for rgb, _ in pairs]
            measured[f"class.{name}.inside.{letter}"] = float(np.mean(inside))
        measured[f"class.{name}.R/G"] = float((means[:, 0] / means[:, 1]).std())
        measured[f"class.{name}.B/G"] = float((means[:, 2] / means[:, 1]).std())
        image: tuple[tuple[str, Callable[[Floats], float]], ...] = (
            ("gradient", gradient_energy), ("fourfold", fourfold_order), ("fine", fine_share),
            ("lag1", lambda grey: autocorrelation(grey, 1)),
            ("lag4", lambda grey: autocorrelation(grey, 4)),
            ("lag16", lambda grey: autocorrelation(grey, 16)),
        )  # fmt: skip
        for label, statistic in image:
            values = [statistic(grey) for grey in greys if grey.std() > 0]
            measured[f"class.{name}.{label}"] = float(np.median(values))
        saturated = [float((rgb >= 255).any(axis=0).mean()) for rgb, _ in pairs]
        measured[f"class.{name}.saturated"] = float(np.mean(saturated))
    return measured


def spectra(places: int = 16) -> Measured:
    """Noise floor, spectral variety and slopes of the power spectrum over land."""
    rows, land = [], (Cover.SEA, Cover.LAKE, Cover.RIVER)
    for grid in draw(EUROPE, places, 10):
        for tile in clear(grid, day(2020, 6), day(2020, 9), 1, ALL_BANDS):
            if share(grid, land) < 0.1:
                bands = dict(zip(ALL_BANDS, tile.bands, strict=True))
                noise = [noise_floor(bands[name]) for name in ("B2", "B4", "B8")]
                slopes = [power_slope(bands[name]) for name in ("B4", "B8")]
                rows.append(
                    [*noise, *slopes, beyond_three_components(block_means(tile.bands, 12)) * 1000]
                )
    names = ("noise.B2", "noise.B4", "noise.B8", "slope.B4", "slope.B8", "variety")
    return dict(zip((f"spectra.{n}" for n in names), np.median(rows, axis=0).tolist(), strict=True))
