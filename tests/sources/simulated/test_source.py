"""The simulated archive as an image source; test_statistics.py tests its images."""

from __future__ import annotations

import pickle
import re
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from caco_data.download.plan import covers
from caco_data.download.stacks import clear_fraction, clear_fraction_by_score
from caco_data.errors import PermanentError
from caco_data.grid import grid_footprint
from caco_data.sentinel2 import ALL_BANDS, BAND_PIXEL_M, RGB_BANDS, SCL_BAND
from caco_data.sources.base import TruthSource
from caco_data.sources.simulated.catalogue import find
from caco_data.sources.simulated.change_kinds import ChangeKind, kinds_of_change
from caco_data.sources.simulated.land_cover import Cover
from caco_data.sources.simulated.settings import SimulatedSettings
from caco_data.types import Grid, Period
from tests.support.simulated_tiles import clear_tiles, day, grid_at, scenes_of, source

EVERYTHING = (*ALL_BANDS, SCL_BAND)
#: Town fringe, coast, tropics, north, south of the equator, desert.
PLACES = (
    (11.75, 48.1), (4.28, 52.1), (101.6, 3.2), (24.6, 60.3), (151.0, -33.8), (31.0, 29.9),
)  # fmt: skip


def periods(early: int = 2019, late: int = 2023) -> tuple[Period, Period]:
    return (
        Period("early", day(early, 1), day(early + 1, 1)),
        Period("late", day(late, 1), day(late + 1, 1)),
    )


def test_settings_can_be_pickled() -> None:
    plain = SimulatedSettings(seed=3)
    assert pickle.loads(pickle.dumps(plain)) == plain
    assert plain.name == "simulated"
    assert isinstance(plain.open(), TruthSource)


def test_tile_depends_on_the_seed_only() -> None:
    grid = grid_at(*PLACES[0])
    scene = scenes_of(grid, day(2020, 6), day(2020, 7))[0]
    first = source().read_tile(scene, grid, RGB_BANDS)
    again = SimulatedSettings().open()
    np.testing.assert_array_equal(again.read_tile(scene, grid, RGB_BANDS), first)
    other = SimulatedSettings(seed=1).open()
    listed = other.list_scenes(grid_footprint(grid), day(2020, 6), day(2020, 7))
    theirs = next(s for s in listed if s.acquired == scene.acquired and s.epsg == grid.epsg)
    assert (other.read_tile(theirs, grid, RGB_BANDS) != first).mean() > 0.5


@settings(max_examples=20, deadline=None)
@given(
    place=st.sampled_from(PLACES),
    month=st.integers(1, 12),
    shift=st.tuples(st.integers(-20, 20), st.integers(-20, 20)),
    size=st.tuples(st.integers(1, 30), st.integers(1, 30)),
)
def test_overlapping_grids_agree_exactly(
    place: tuple[float, float], month: int, shift: tuple[int, int], size: tuple[int, int]
) -> None:
    whole = grid_at(*place)
    part = Grid(
        whole.epsg, whole.left_m + 60 * shift[0], whole.top_m - 60 * shift[1],
        6 * size[0], 6 * size[1],
    )  # fmt: skip
    scene = scenes_of(whole, day(2021, month), day(2021, month, 28))[0]
    a = source().read_tile(scene, whole, EVERYTHING)
    b = source().read_tile(scene, part, EVERYTHING)
    x, y = 6 * shift[0], 6 * shift[1]
    width, height = min(264, x + part.width_px), min(264, y + part.height_px)
    np.testing.assert_array_equal(
        a[:, max(y, 0) : max(height, 0), max(x, 0) : max(width, 0)],
        b[:, max(-y, 0) : max(height, 0) - y, max(-x, 0) : max(width, 0) - x],
    )


@pytest.mark.parametrize("place", PLACES[:3])
def test_coarse_bands_are_constant_on_their_pixels(place: tuple[float, float]) -> None:
    grid = grid_at(*place)
    scene = scenes_of(grid, day(2020, 5), day(2020, 6))[0]
    tile = source().read_tile(scene, grid, EVERYTHING)
    for band, name in zip(tile, EVERYTHING, strict=True):
        side = {**BAND_PIXEL_M, SCL_BAND: 20}[name] // 10
        corners = band[::side, ::side]
        np.testing.assert_array_equal(band, corners.repeat(side, 0).repeat(side, 1))
        assert side == 1 or (band[::side] != band[side // 2 :: side]).sum() == 0
        assert len(np.unique(band)) > 1


def test_bands_are_in_the_requested_order() -> None:
    grid = grid_at(*PLACES[0])
    scene = scenes_of(grid, day(2020, 5), day(2020, 6))[0]
    everything = source().read_tile(scene, grid, EVERYTHING)
    some = source().read_tile(scene, grid, ["SCL", "B8", "B2"])
    assert some.dtype == np.uint16
    np.testing.assert_array_equal(some, everything[[12, 7, 1]])


def test_invalid_requests_are_rejected() -> None:
    grid = grid_at(*PLACES[0])
    scene = scenes_of(grid, day(2020, 5), day(2020, 6))[0]
    with pytest.raises(PermanentError, match="B10"):
        source().read_tile(scene, grid, ["B10"])
    for name in ("", "20200101T000000_20200101T000000_T99XXX", scene.image_id[:-5] + "31TCF"):
        with pytest.raises(PermanentError, match="No such scene"):
            source().read_tile(replace(scene, image_id=name), grid, ["B4"])
    with pytest.raises(PermanentError, match="EPSG"):
        source().read_tile(scene, replace(grid, epsg=32733), ["B4"])
    for off in (replace(grid, left_m=grid.left_m + 30), replace(grid, height_px=100)):
        with pytest.raises(PermanentError, match="60 m lattice"):
            source().read_tile(scene, off, ["B4"])


@settings(max_examples=25, deadline=None)
@given(longitude=st.floats(-180, 180), latitude=st.floats(-79.9, 82.5))
def test_listed_scenes_are_unique_within_the_interval_and_cover_the_patch(
    longitude: float, latitude: float
) -> None:
    grid = grid_at(longitude, latitude)
    start, end = day(2020, 3), day(2020, 5)
    listed = source().list_scenes(grid_footprint(grid), start, end)
    assert len({scene.image_id for scene in listed}) == len(listed)
    pattern = r"\d{8}T\d{6}_\d{8}T\d{6}_T\d\d[C-X][A-HJ-NP-Z][A-HJ-NP-V]"
    for scene in listed:
        assert start <= scene.acquired < end
        assert 0 <= scene.cloud_pct <= 100
        assert re.fullmatch(pattern, scene.image_id)
        assert scene.image_id.endswith(find(0, scene.image_id).scene.image_id[-5:])
        assert find(0, scene.image_id).scene == scene
    # Every five days, a scene in the patch's own zone covers the whole patch; not at the equator,
    # where the tiles of each hemisphere end.
    if abs(latitude) > 0.02:
        whole = {s.acquired for s in listed if s.epsg == grid.epsg
                 and covers([s.footprint], grid_footprint(grid))[0]}  # fmt: skip
        assert len({when.date() for when in whole}) >= 61 // 5


def test_listing_includes_the_start_and_excludes_the_end() -> None:
    grid = grid_at(*PLACES[0])
    scenes = scenes_of(grid, day(2020, 5), day(2020, 7))
    times = sorted({scene.acquired for scene in scenes})
    first = [scene for scene in scenes if scene.acquired == times[0]]
    assert scenes_of(grid, times[0], times[1]) == first
    assert all(b - a <= timedelta(days=5) for a, b in pairwise(times))


def test_tiles_of_adjacent_zones_and_the_exception_of_norway() -> None:
    footprint = grid_footprint(grid_at(5.99, 45.0))
    listed = source().list_scenes(footprint, day(2020, 5), day(2020, 6))
    assert {scene.epsg for scene in listed} == {32631, 32632}
    bergen = scenes_of(grid_at(5.3, 60.4), day(2020, 5), day(2020, 6))
    assert {scene.image_id[-5:-2] for scene in bergen} == {"32V"}
    paris = scenes_of(grid_at(2.35, 48.86), day(2020, 5), day(2020, 6))
    assert {scene.image_id[-5:] for scene in paris} == {"31UDQ"}  # as in the real tiling


def test_no_scene_beyond_83_degrees() -> None:
    assert scenes_of(grid_at(10.0, 83.5), day(2020, 1), day(2021, 1)) == []


@pytest.mark.parametrize(
    ("year", "baseline"), [(2017, "02"), (2020, "02"), (2021, "03"), (2022, "04"), (2024, "05")]
)
def test_baselines_by_date(year: int, baseline: str) -> None:
    scenes = scenes_of(grid_at(*PLACES[0]), day(year, 10), day(year, 11))
    assert {scene.baseline[:2] for scene in scenes} == {baseline}


def test_no_data_outside_the_swath() -> None:
    for k in range(40):
        grid = grid_at(11.0 + 0.1 * k, 48.0)
        patch = shapely.Polygon(np.column_stack(_ring(grid)))
        for scene in scenes_of(grid, day(2020, 5), day(2020, 5, 12)):
            seen = shapely.Polygon(
                np.column_stack([scene.footprint.longitudes, scene.footprint.latitudes])
            )
            share = seen.intersection(patch).area / patch.area
            if not 0.2 < share < 0.8:
                continue
            tile = source().read_tile(scene, grid, ("B4", SCL_BAND))
            empty = tile[0] == 0
            np.testing.assert_array_equal(empty, tile[1] == 0)
            assert empty.mean() == pytest.approx(1 - share, abs=0.02)
            return
    raise AssertionError("no swath edge in 40 patches")


def _ring(grid: Grid) -> tuple[tuple[float, ...], tuple[float, ...]]:
    footprint = grid_footprint(grid)
    return footprint.longitudes, footprint.latitudes


def test_overlapping_tiles_of_a_pass_show_the_same_ground() -> None:
    grid = grid_at(2.25, 41.45)
    by_day: dict[object, list[NDArray[Any]]] = {}
    for scene in scenes_of(grid, day(2020, 5), day(2020, 9)):
        if covers([scene.footprint], grid_footprint(grid))[0] and scene.cloud_pct < 5:
            tile = source().read_tile(scene, grid, ["B4"]).astype(np.float64)
            by_day.setdefault(scene.acquired.date(), []).append(tile)
    assert by_day
    for tiles in by_day.values():
        assert all(np.corrcoef(t.ravel(), tiles[0].ravel())[0, 1] > 0.95 for t in tiles)


def changed_grid() -> tuple[Grid, float]:
    for k in range(60):
        grid = grid_at(11.3 + 0.012 * k, 48.05)
        fraction = source().truth(grid, *periods()).changed_fraction
        if fraction > 0.1:
            return grid, fraction
    raise AssertionError("no change in 60 patches of a large city's fringe")


def test_changes_are_permanent_and_seasons_recur() -> None:
    grid, fraction = changed_grid()
    assert source().truth(grid, *periods(2019, 2019)).changed_fraction == 0
    assert source().truth(grid, *periods(2019, 2026)).changed_fraction >= fraction

    summers = {
        year: next(clear_tiles(grid, day(year, 6, 15), day(year, 8, 15), ["B4"])).ravel()
        for year in (2018, 2019, 2024, 2025)
    }

    def correlation(a: int, b: int) -> float:
        return float(np.corrcoef(summers[a], summers[b])[0, 1])

    across = np.mean([correlation(a, b) for a in (2018, 2019) for b in (2024, 2025)])
    assert across < correlation(2018, 2019)
    assert across < correlation(2024, 2025)


def test_change_mask_shows_what_happened_to_each_pixel() -> None:
    grid, fraction = changed_grid()
    mask = source().change_mask(grid, *periods())
    assert mask.dtype == np.uint8
    assert mask.shape == (grid.height_px, grid.width_px)
    assert (mask > 0).mean() == pytest.approx(fraction)
    assert set(np.unique(mask)) <= set(ChangeKind)
    assert not source().change_mask(grid, *periods(2019, 2019)).any()
    # The mask of a part is the part of the mask.
    part = replace(grid, left_m=grid.left_m + 600, width_px=60)
    np.testing.assert_array_equal(source().change_mask(part, *periods()), mask[:, 60:120])


def test_building_sites_come_before_buildings() -> None:
    kinds = kinds_of_change(
        np.array([[Cover.FOREST, Cover.ANNUAL_CROP, Cover.PASTURE, Cover.LAKE]], dtype=np.uint8),
        np.array([[Cover.BARE, Cover.CONSTRUCTION, Cover.RESIDENTIAL, Cover.LAKE]], dtype=np.uint8),
    )
    expected = [ChangeKind.FELLING, ChangeKind.CONSTRUCTION, ChangeKind.HOUSING, ChangeKind.NONE]
    assert kinds.tolist() == [[int(kind) for kind in expected]]
    grid, _ = changed_grid()
    years = range(2016, 2029)
    covers = [source().change_mask(grid, *periods(2016, year)) for year in years[1:]]
    sites = sum((mask == ChangeKind.CONSTRUCTION).sum() for mask in covers)
    assert sites > 0
    assert not (covers[-1] == ChangeKind.NONE)[covers[3] > 0].any()  # changes are permanent


def test_frequency_of_changes() -> None:
    # 10 to 25 % of patches at the fringes of towns change visibly in four years, few far away.
    rng = np.random.default_rng(0)
    towns = [(11.58, 48.14), (2.35, 48.86), (-3.7, 40.42), (21.0, 52.23), (77.2, 28.6)]
    fringe = [
        source().truth(grid_at(x + a, y + b), *periods()).changed_fraction
        for x, y in towns
        for a, b in rng.uniform(-0.12, 0.12, (14, 2))
    ]
    far = [
        source().truth(grid_at(20.0 + a, 66.5 + b), *periods()).changed_fraction
        for a, b in rng.uniform(-0.8, 0.8, (20, 2))
    ]
    assert 0.08 <= np.mean(np.array(fringe) > 0.02) <= 0.32
    assert np.mean(np.array(far) > 0.02) <= 0.15
    assert np.max(fringe) <= 0.9


def test_dominant_land_cover() -> None:
    atlantic = grid_at(-30.0, 45.0)
    assert source().truth(atlantic, *periods()).land_cover == "sea"
    assert source().truth(grid_at(2.35, 48.86), *periods()).land_cover == "residential"


def test_cloud_scores_agree_approximately_with_the_classes() -> None:
    grid = grid_at(*PLACES[0])
    scenes = [s for s in scenes_of(grid, day(2020, 3), day(2020, 8)) if s.epsg == grid.epsg]
    shares = []
    for scene in scenes[:24]:
        score = source().read_cloud_score(scene, grid)
        assert score.dtype == np.float32
        assert 0 <= score.min() <= score.max() <= 1
        scl = source().read_tile(scene, grid, [SCL_BAND])[0]
        shares.append((clear_fraction_by_score(score), clear_fraction(scl.astype(np.uint8))))
    by_score, by_class = np.array(shares).T
    assert by_score.min() < 0.1 < 0.9 < by_score.max()
    assert np.corrcoef(by_score, by_class)[0, 1] > 0.95
    assert not np.array_equal(by_score, by_class)
    with pytest.raises(PermanentError, match="60 m lattice"):
        source().read_cloud_score(scenes[0], replace(grid, left_m=grid.left_m + 10))
