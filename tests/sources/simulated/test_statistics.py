"""Statistics of simulated images compared with those of real Sentinel-2 images.

The real values are from one place with mixed land cover in Catalonia and from EuroSAT. The
simulated reference place is similar: forest, scrub, fields, a lake and a village in Catalonia; it
was chosen by its land cover.
"""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from itertools import islice

import numpy as np
import pytest

from caco_data.sentinel2 import ALL_BANDS, RGB_BANDS
from caco_data.sources.simulated.land_cover import Cover
from tests.support.image_statistics import Floats, autocorrelation, power_slope
from tests.support.simulated_tiles import (
    as_eurosat,
    clear_tiles,
    day,
    grid_at,
    scenes_of,
    source,
    windows_of,
)

REFERENCE = (2.69, 42.54)
#: Version 2 does not reach these real values everywhere yet: see the table in docs/simulated.md.
NOT_REACHED = pytest.mark.xfail(reason="known difference of version 2", strict=True)
B4 = ALL_BANDS.index("B4")


@lru_cache(maxsize=16)
def reference(start: datetime, end: datetime, count: int = 1) -> list[Floats]:
    return list(islice(clear_tiles(grid_at(*REFERENCE), start, end), count))


def june() -> Floats:
    return reference(day(2020, 6, 5), day(2020, 7, 5))[0]


def test_band_medians_are_within_a_factor_of_two() -> None:
    real = [229, 287, 461, 279, 745, 2127, 2519, 2575, 2704, 2687, 1547, 696]
    ratio = np.median(june(), axis=(1, 2)) / real
    assert np.all((ratio > 0.5) & (ratio < 2)), ratio
    assert np.median(np.abs(np.log(ratio))) < np.log(1.35)


def test_band_spreads_are_within_a_factor_of_three() -> None:
    real = [65, 110, 163, 200, 331, 890, 1070, 1114, 1145, 1084, 714, 450]
    ratio = june().std(axis=(1, 2)) / real
    assert np.all((ratio > 0.33) & (ratio < 3)), ratio


@pytest.mark.parametrize(
    ("one", "other", "real", "tolerance"),
    [("B2", "B4", 0.94, 0.06), ("B3", "B4", 0.92, 0.08), ("B8", "B11", 0.83, 0.25),
     ("B4", "B8", 0.37, 0.5), ("B2", "B8", 0.21, 0.5)],
)  # fmt: skip
def test_band_correlations(one: str, other: str, real: float, tolerance: float) -> None:
    a, b = (june()[ALL_BANDS.index(name)].ravel() for name in (one, other))
    assert np.corrcoef(a, b)[0, 1] == pytest.approx(real, abs=tolerance)


def test_spatial_autocorrelation() -> None:
    red, infrared = june()[B4], june()[ALL_BANDS.index("B8")]
    assert power_slope(red) == pytest.approx(-2.8, abs=0.6)
    for lag, real_red, real_infrared in (
        (1, 0.91, 0.99), (2, 0.79, 0.96), (4, 0.65, 0.91), (16, 0.41, 0.68), (64, 0.17, 0.16),
    ):  # fmt: skip
        assert autocorrelation(red, lag) == pytest.approx(real_red, abs=0.2)
        assert autocorrelation(infrared, lag) == pytest.approx(real_infrared, abs=0.35)


def test_haze_varies_the_darkest_values_between_dates() -> None:
    tiles = reference(day(2020, 5, 15), day(2020, 9, 15), 8)
    dark = [np.percentile(tile[B4], 2) for tile in tiles]
    assert 50 < np.ptp(dark) < 350
    assert 20 < min(dark) < 350


def test_vegetation_index_by_season() -> None:
    def ndvi(tile: Floats) -> float:
        red, infrared = tile[B4], tile[ALL_BANDS.index("B8")]
        return float(((infrared - red) / (infrared + red)).mean())

    winter = reference(day(2020, 12, 10), day(2021, 2, 10))[0]
    assert ndvi(june()) == pytest.approx(0.53, abs=0.15)
    assert ndvi(winter) == pytest.approx(0.42, abs=0.15)
    assert ndvi(winter) < ndvi(june()) - 0.04


def test_correlation_of_two_dates() -> None:
    # Real values in the red band: same month 0.89 to 0.96, June and the next June 0.53 to 0.60, and
    # two years later 0.85 to 0.91, summer and winter -0.1 to 0.3. The simulated crops are drawn
    # anew every year, so that an even gap is like an odd one; bright soils, which remain, make
    # summer and winter more alike than in the real scene.
    def correlation(a: Floats, b: Floats) -> float:
        return float(np.corrcoef(a[B4].ravel(), b[B4].ravel())[0, 1])

    junes = [reference(day(year, 6, 1), day(year, 7, 15), 2) for year in (2020, 2021, 2022)]
    winter = reference(day(2020, 12, 10), day(2021, 2, 10))[0]
    same_month = correlation(*junes[0])
    next_year = correlation(junes[0][0], junes[1][0])
    two_years_on = correlation(junes[0][0], junes[2][0])
    summer_winter = correlation(junes[0][0], winter)
    assert same_month > 0.75
    assert 0.4 < next_year < 0.95
    assert 0.4 < two_years_on < 0.95
    assert -0.2 < summer_winter < 0.8
    assert summer_winter < next_year < same_month


#: EuroSAT: mean red, green and blue; standard deviation within an image; autocorrelation of grey
#: values at 1 and 4 pixels.
_CLASSES = {
    Cover.FOREST: ((40, 65, 76), (4, 4, 3), (0.73, 0.35)),
    Cover.RESIDENTIAL: ((99, 103, 113), (25, 19, 18), (0.71, 0.20)),
    Cover.INDUSTRIAL: ((123, 125, 134), (48, 40, 38), (0.87, 0.46)),
    Cover.ANNUAL_CROP: ((127, 118, 116), (37, 20, 16), (0.96, 0.75)),
    Cover.SEA: ((47, 72, 89), (3, 3, 2), (0.91, 0.67)),
}
#: Its fields are more uniform than those of EuroSAT.
_MARKS = {Cover.ANNUAL_CROP: NOT_REACHED}
_WHERE = ((2.34, 48.86), (4.28, 52.1), (2.25, 41.45), (24.6, 60.3), (2.22, 48.7), (1.77, 43.16),
          (2.1, 48.2), (3.7, 48.4), (3.9, 48.4), (4.0, 52.0))  # fmt: skip


@lru_cache(maxsize=1)
def class_figures() -> dict[Cover, Floats]:
    """Statistics per class, (9,).

    Mean and standard deviation of red, green and blue; autocorrelation at 1, 4 and 16 pixels.
    """
    figures: dict[Cover, list[Floats]] = {cover: [] for cover in _CLASSES}
    for place in _WHERE:
        grid = grid_at(*place)
        summer = clear_tiles(grid, day(2020, 5, 15), day(2020, 9, 15), RGB_BANDS)
        for tile in islice(summer, 1):
            rgb = as_eurosat(tile)
            for cover, found in figures.items():
                for rows, columns in windows_of(cover, grid, 0.7):
                    image = rgb[:, rows, columns]
                    grey = [autocorrelation(image.mean(axis=0), lag) for lag in (1, 4, 16)]
                    found.append(np.r_[image.mean((1, 2)), image.std((1, 2)), grey])
    return {cover: np.mean(found, axis=0) for cover, found in figures.items()}


@pytest.mark.parametrize(
    "cover",
    [pytest.param(cover, id=cover.name.lower(), marks=_MARKS.get(cover, ())) for cover in _CLASSES],
)
def test_land_cover_is_similar_to_its_eurosat_class(cover: Cover) -> None:
    mean, within, autocorrelations = (np.array(real) for real in _CLASSES[cover])
    figures = class_figures()[cover]
    # The means of images of one class differ by 10 to 40, and those of towns from town to town.
    np.testing.assert_allclose(figures[:3], mean, atol=48)
    assert np.all(figures[3:6] < 2.2 * within + 3), figures
    assert np.all(figures[3:6] > 0.2 * within), figures
    np.testing.assert_allclose(figures[6:8], autocorrelations, atol=0.36)


def test_texture_distinguishes_classes() -> None:
    figures = class_figures()
    spread = {cover: row[3] for cover, row in figures.items()}
    assert spread[Cover.SEA] < spread[Cover.FOREST] < spread[Cover.RESIDENTIAL]
    assert spread[Cover.RESIDENTIAL] < spread[Cover.INDUSTRIAL]
    # Streets and roofs are one to three pixels wide, fields tens of pixels.
    assert figures[Cover.RESIDENTIAL][7] < figures[Cover.INDUSTRIAL][7] < (
        figures[Cover.ANNUAL_CROP][7]
    )  # fmt: skip


def test_clouds_are_bright_and_their_shadows_dark() -> None:
    grid = grid_at(*REFERENCE)
    covers, bright, dark = [], [], []
    for scene in scenes_of(grid, day(2020, 4), day(2020, 10)):
        tile = source().read_tile(scene, grid, ("B4", "B8", "SCL"))
        scl = tile[2]
        cloud, shadow, clear = scl == 9, scl == 3, np.isin(scl, (4, 5))
        covers.append((scene.cloud_pct, np.isin(scl, (8, 9, 10)).mean() * 100))
        if min(cloud.mean(), shadow.mean(), clear.mean()) > 0.02:
            bright.append(np.median(tile[0][cloud]))
            dark.append(np.median(tile[1][shadow]) / np.median(tile[1][clear]))
    assert np.median(bright) > 2878  # the darkest real thick cloud
    assert np.median(dark) < 0.75
    scene_pct, patch_pct = np.array(covers).T
    assert np.corrcoef(scene_pct, patch_pct)[0, 1] > 0.6
    # Clouds are smaller than patches: in scenes with 30 to 60 % cloud, 1 % of patches are clear.
    assert np.mean(patch_pct[(scene_pct > 30) & (scene_pct < 60)] < 1) < 0.2
    # Patches are smaller than weather systems: some are cloudy in clear scenes.
    assert np.any(patch_pct[scene_pct < 50] > scene_pct[scene_pct < 50] + 10)


def test_snow_in_northern_winters_only() -> None:
    grid = grid_at(10.4, 63.4)

    def snow(start: datetime, end: datetime) -> float:
        tiles = (source().read_tile(s, grid, ["SCL"]) for s in scenes_of(grid, start, end))
        return max(float((tile == 11).mean()) for tile in tiles)

    assert snow(day(2021, 1), day(2021, 3)) > 0.02
    assert snow(day(2021, 6), day(2021, 9)) == 0
