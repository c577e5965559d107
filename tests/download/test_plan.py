from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caco_data.download.periods import periods
from caco_data.download.plan import covers, make_plan, slots, usable
from caco_data.download.settings import SceneSettings
from caco_data.grid import grid_footprint, patch_grid
from caco_data.types import Footprint, Location, Period, Plan, Rejection, Scene
from tests.support.plain_source import make_scene

START = datetime(2019, 3, 1, tzinfo=UTC)
PERIOD = Period("early", START, START + timedelta(days=365))
LATE = Period("late", START, START + timedelta(days=365))
HERE = Location(7, 3.0, 45.0, 32631)
GRID = patch_grid(HERE)
SETTINGS = SceneSettings()


def place(location_id: int) -> Location:
    return replace(HERE, location_id=location_id)


def at(day: float, **fields: float) -> Scene:
    return make_scene(START + timedelta(days=day), **fields)  # type: ignore[arg-type]


@given(st.integers(0, 10**8), st.integers(0, 2**63 - 1), st.integers(1, 8))
def test_periods_are_a_year_long_and_seasonally_aligned(
    location_id: int, seed: int, gap: int
) -> None:
    settings = SceneSettings(seed=seed, gap_years=gap)
    early, late = periods(place(location_id), settings)
    assert date(2019, 1, 1) <= early.start.date() <= date(2020, 12, 31)
    assert early.end - early.start == late.end - late.start == timedelta(days=365)
    assert late.start.year == early.start.year + gap
    day = (early.start.month, early.start.day)
    assert (late.start.month, late.start.day) == ((2, 28) if day == (2, 29) and gap % 4 else day)
    assert periods(place(location_id), settings) == (early, late)


def test_starts_are_uniform_over_the_days_and_differ_by_seed() -> None:
    first = [periods(place(i), SceneSettings(seed=1))[0].start.toordinal() for i in range(4000)]
    assert len(set(first)) > 700  # of 731 days
    assert abs(np.mean(first) - date(2020, 1, 1).toordinal()) < 15  # sd of the mean: 3.3 days
    assert first[:9] != [
        periods(place(i), SceneSettings(seed=2))[0].start.toordinal() for i in range(9)
    ]


def test_usable_scenes_cover_the_patch_in_its_zone_with_few_clouds_one_per_day() -> None:
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
    cut = slots(PERIOD, scenes, SETTINGS)
    assert [slot.t for slot in cut] == [0, 1, 2, 3, 4]
    assert cut[0].start == PERIOD.start
    assert cut[-1].end == PERIOD.end
    dealt = [scene for slot in cut for scene in slot.candidates]
    assert sorted(dealt, key=id) == sorted(scenes, key=id)
    for slot in cut:
        assert all(slot.start <= scene.acquired < slot.end for scene in slot.candidates)
        near = [other for other in cut if abs(other.t - slot.t) <= 1]
        neighbours = {scene.image_id for other in near for scene in other.candidates}
        assert {scene.image_id for scene in slot.fallback} == neighbours


def test_a_plan_or_a_rejection_with_its_reason() -> None:
    every = [at(day) for day in range(0, 360, 20)]
    plan = make_plan(HERE, GRID, [(PERIOD, every), (LATE, every)], SETTINGS)
    assert isinstance(plan, Plan)
    assert plan.periods[0].period == PERIOD
    assert len(plan.periods[0].slots) == 5
    none = make_plan(HERE, GRID, [(PERIOD, every), (LATE, [])], SETTINGS)
    assert isinstance(none, Rejection)
    assert none.reason == "too few scenes"
    assert none.detail.startswith("late slot 0")
    winter_only = make_plan(HERE, GRID, [(PERIOD, every[:4]), (LATE, [])], SETTINGS)
    assert isinstance(winter_only, Rejection)
    assert winter_only.reason == "too few scenes"
    assert "slot 2" in winter_only.detail
