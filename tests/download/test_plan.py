from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caco_data.download.plan import covers, make_plan, periods, slots, usable
from caco_data.download.settings import SceneSettings
from caco_data.download.stacks import (
    CLEAR_CLASSES,
    MAX_CANDIDATES,
    clear_fraction,
    fill_stack,
    has_nodata,
)
from caco_data.grid import grid_footprint, patch_grid
from caco_data.types import Footprint, Location, Period, Plan, Rejection, Scene, Stack, Tile
from tests.support.plain_source import make_scene

START = datetime(2019, 3, 1, tzinfo=UTC)
PERIOD = Period("early", START, START + timedelta(days=365))
HERE = Location(7, 3.0, 45.0, 32631)
GRID = patch_grid(HERE)
SETTINGS = SceneSettings()


def tile(scene: Scene, clear: float = 1.0) -> Tile:
    scl = np.full((132, 132), 4, dtype=np.uint8)
    return Tile(scene, np.ones((3, 264, 264), dtype=np.uint16), scl, clear)


def at(day: float, **fields: float) -> Scene:
    return make_scene(START + timedelta(days=day), **fields)  # type: ignore[arg-type]


@given(st.integers(0, 10**8), st.integers(0, 2**63 - 1), st.integers(1, 8))
def test_periods_are_a_year_long_and_seasonally_aligned(
    location_id: int, seed: int, gap: int
) -> None:
    settings = SceneSettings(seed=seed, gap_years=gap)
    early, late = periods(location_id, settings)
    assert date(2019, 1, 1) <= early.start.date() <= date(2020, 12, 31)
    assert early.end - early.start == late.end - late.start == timedelta(days=365)
    assert late.start.year == early.start.year + gap
    day = (early.start.month, early.start.day)
    assert (late.start.month, late.start.day) == ((2, 28) if day == (2, 29) and gap % 4 else day)
    assert periods(location_id, settings) == (early, late)


def test_starts_are_uniform_over_the_days_and_differ_by_seed() -> None:
    first = [periods(i, SceneSettings(seed=1))[0].start.toordinal() for i in range(4000)]
    assert len(set(first)) > 700  # of 731 days
    assert abs(np.mean(first) - date(2020, 1, 1).toordinal()) < 15  # sd of the mean: 3.3 days
    assert first[:9] != [periods(i, SceneSettings(seed=2))[0].start.toordinal() for i in range(9)]


def test_usable_wants_cover_crs_and_few_clouds_and_one_scene_a_day() -> None:
    good = at(1, cloud_pct=3)
    twin = make_scene(START + timedelta(days=1, seconds=15), cloud_pct=4)
    scenes = [
        twin,
        good,
        at(2, cloud_pct=21),
        at(3, epsg=32632),
        at(4, longitude=9.0),
        at(5, cloud_pct=1),
    ]
    assert usable(scenes, GRID, SETTINGS) == [scenes[-1], good]


def test_a_scene_that_cuts_the_patch_does_not_cover_it() -> None:
    patch = grid_footprint(GRID)
    west, east = min(patch.longitudes), max(patch.longitudes)
    middle = (west + east) / 2
    assert covers([Footprint((west - 1, east + 1, east + 1, west - 1), (44, 44, 46, 46))], patch)[0]
    assert not covers([Footprint((west - 1, middle, middle, west - 1), (44, 44, 46, 46))], patch)[0]


@pytest.mark.parametrize("longitude", [179.999, -179.999])
def test_cover_across_the_antimeridian(longitude: float) -> None:
    grid = patch_grid(Location(0, longitude, -17.0, 32701 if longitude < 0 else 32760))
    patch = grid_footprint(grid)
    for ring in ((178.0, -178.0, -178.0, 178.0), (178.0, 182.0, 182.0, 178.0)):
        assert covers([Footprint(ring, (-18.0, -18.0, -16.0, -16.0))], patch)[0]
    assert not covers(
        [Footprint((176.0, 179.0, 179.0, 176.0), (-18.0, -18.0, -16.0, -16.0))], patch
    )[0]


@given(st.lists(st.floats(0, 364.9), max_size=40))
def test_slots_partition_the_period(days: list[float]) -> None:
    scenes = [at(day) for day in days]
    cut = slots(PERIOD, scenes)
    assert [slot.t for slot in cut] == [0, 1, 2, 3, 4]
    assert cut[0].start == PERIOD.start
    assert cut[-1].end == PERIOD.end
    dealt = [scene for slot in cut for scene in slot.candidates]
    assert sorted(dealt, key=id) == sorted(scenes, key=id)
    for slot in cut:
        assert all(slot.start <= scene.acquired < slot.end for scene in slot.candidates)


def test_plan_or_the_reason_why_not() -> None:
    every = [at(day) for day in range(0, 360, 20)]
    plan = make_plan(HERE, GRID, [(PERIOD, every)], SETTINGS)
    assert isinstance(plan, Plan)
    assert len(plan.slots) == 5
    none = make_plan(HERE, GRID, [(PERIOD, [])], SETTINGS)
    assert isinstance(none, Rejection)
    assert none.reason == "no scenes"
    winter_only = make_plan(HERE, GRID, [(PERIOD, every[:4])], SETTINGS)
    assert isinstance(winter_only, Rejection)
    assert winter_only.reason == "too few scenes"
    assert "slot 2" in winter_only.detail


def test_fill_takes_the_clearest_and_reads_no_more_than_it_must() -> None:
    scenes = [at(day, cloud_pct=day % 19) for day in range(0, 365, 5)]
    cut = slots(PERIOD, usable(scenes, GRID, SETTINGS))
    read: list[Scene] = []

    def reader(scene: Scene) -> Tile:
        read.append(scene)
        return tile(scene)

    stack = fill_stack(cut, reader, SETTINGS)
    assert isinstance(stack, Stack)
    assert [t.scene for t in stack.tiles] == [slot.candidates[0] for slot in cut] == read


def test_a_failed_slot_borrows_from_its_neighbour_at_a_distance() -> None:
    # Slot 1 (days 73-146) has one cloudy scene; slot 2 begins on day 146.
    scenes = [at(10), at(100), at(150, cloud_pct=1), at(155), at(170), at(250), at(300)]
    cut = slots(PERIOD, usable(scenes, GRID, SETTINGS))
    bad = scenes[1].image_id
    stack = fill_stack(cut, lambda s: tile(s, 0.1 if s.image_id == bad else 1), SETTINGS)
    assert isinstance(stack, Stack)
    # Day 155 is within ten days of day 150, which slot 2 took; day 170 is not.
    assert [t.scene for t in stack.tiles] == [scenes[i] for i in (0, 4, 2, 5, 6)]


def test_at_most_three_candidates_a_slot_then_the_reason() -> None:
    scenes = [at(day) for day in range(0, 365, 5)]
    cut = slots(PERIOD, usable(scenes, GRID, SETTINGS))
    read: list[Scene] = []

    def cloudy(scene: Scene) -> Tile | None:
        read.append(scene)
        return tile(scene, 0.5) if len(read) % 2 else None

    reason = fill_stack(cut, cloudy, SETTINGS)
    assert isinstance(reason, str)
    assert "slot 0" in reason
    assert len(read) == len({s.image_id for s in read}) == 5 * MAX_CANDIDATES + MAX_CANDIDATES


def test_clear_fraction_and_nodata() -> None:
    classes = np.repeat(np.arange(12, dtype=np.uint8), 11)
    assert clear_fraction(classes) == pytest.approx(len(CLEAR_CLASSES) / 12)
    fine = tile(at(0))
    assert not has_nodata(fine)
    masked = tile(at(0))
    masked.pixels[:, 3, 3] = 0
    assert has_nodata(masked)
    dark = tile(at(0))
    dark.pixels[0] = 0  # one band may be zero: deep water
    assert not has_nodata(dark)
    edge = tile(at(0))
    edge.scl[0, 0] = 0
    assert has_nodata(edge)
