from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from caco_data.download.plan import slots, usable
from caco_data.download.settings import SceneSettings
from caco_data.download.stacks import (
    CLEAR_CLASSES,
    MAX_CANDIDATES,
    Cloudy,
    Unreadable,
    clear_fraction,
    fill_stack,
    has_nodata,
)
from caco_data.grid import patch_grid
from caco_data.types import Location, Period, PeriodPlan, Rejection, Scene, Stack, Tile
from tests.support.plain_source import make_scene

START = datetime(2019, 3, 1, tzinfo=UTC)
PERIOD = Period("early", START, START + timedelta(days=365))
GRID = patch_grid(Location(7, 3.0, 45.0, 32631))
SETTINGS = SceneSettings()


def at(day: float, cloud_pct: float = 5.0) -> Scene:
    return make_scene(START + timedelta(days=day), cloud_pct=cloud_pct)


def tile(scene: Scene, clear: float = 1.0) -> Tile:
    scl = np.full((132, 132), 4, dtype=np.uint8)
    return Tile(scene, np.ones((3, 264, 264), dtype=np.uint16), scl, clear)


def fill(
    scenes: list[Scene], result: Callable[[Scene], Tile | Cloudy | Unreadable]
) -> tuple[Stack | Rejection, list[Scene]]:
    """Fill a stack; also returns the scenes read, in order."""
    read: list[Scene] = []

    def reader(scene: Scene) -> Tile | Cloudy | Unreadable:
        read.append(scene)
        return result(scene)

    plan = PeriodPlan(PERIOD, slots(PERIOD, usable(scenes, GRID, SETTINGS), SETTINGS))
    return fill_stack(7, plan, reader, SETTINGS), read


def test_the_clearest_scene_of_each_slot_is_read_and_no_other() -> None:
    scenes = [at(day, cloud_pct=day % 19) for day in range(0, 365, 5)]
    stack, read = fill(scenes, tile)
    assert isinstance(stack, Stack)
    cut = slots(PERIOD, usable(scenes, GRID, SETTINGS), SETTINGS)
    assert [t.scene for t in stack.tiles] == [slot.candidates[0] for slot in cut] == read


def test_a_failed_slot_borrows_from_its_neighbour_at_a_distance() -> None:
    # Slot 1 (days 73-146) has one cloudy scene; slot 2 begins on day 146.
    scenes = [at(10), at(100), at(150, cloud_pct=1), at(155), at(170), at(250), at(300)]
    bad = scenes[1].image_id
    stack, _ = fill(scenes, lambda scene: tile(scene, 0.1 if scene.image_id == bad else 1))
    assert isinstance(stack, Stack)
    # Day 155 is within ten days of day 150, which slot 2 took; day 170 is not.
    assert [t.scene for t in stack.tiles] == [scenes[i] for i in (0, 4, 2, 5, 6)]


def test_at_most_three_candidates_per_slot_and_three_borrowed_are_tried() -> None:
    scenes = [at(day) for day in range(0, 365, 5)]
    ids = [scene.image_id for scene in scenes]
    rejection, read = fill(
        scenes, lambda s: Cloudy(0.5) if ids.index(s.image_id) % 2 else tile(s, 0.5)
    )
    tried = 5 * MAX_CANDIDATES + MAX_CANDIDATES
    assert len(read) == len({scene.image_id for scene in read}) == tried
    detail = f"early slot 0: no clear tile in {2 * MAX_CANDIDATES} tried"
    assert rejection == Rejection(7, "too cloudy", detail)


def test_an_unreadable_scene_decides_the_reason_only_when_a_slot_stays_empty() -> None:
    scenes = [at(day) for day in range(0, 365, 20)]
    first = scenes[0].image_id

    def one_unreadable(scene: Scene, clear: float) -> Tile | Unreadable:
        return Unreadable("not found") if scene.image_id == first else tile(scene, clear)

    rejection, _ = fill(scenes, lambda scene: one_unreadable(scene, 0.5))
    assert isinstance(rejection, Rejection)
    assert rejection.reason == "unreadable scenes"
    assert rejection.detail.endswith(" tried; not found")
    stack, _ = fill(scenes, lambda scene: one_unreadable(scene, 1.0))
    assert isinstance(stack, Stack)


def test_tiles_without_data_and_a_lack_of_scenes_are_reasons_of_their_own() -> None:
    scenes = [at(day) for day in range(0, 365, 20)]

    def masked(scene: Scene) -> Tile:
        edge = tile(scene)
        edge.scl[0, 0] = 0
        return edge

    rejection, _ = fill(scenes, masked)
    assert isinstance(rejection, Rejection)
    assert rejection.reason == "nodata"
    # Slot 0 has no scene, and the only one of slot 1 is accepted there.
    rejection, _ = fill([at(100), at(170), at(250), at(300)], tile)
    assert isinstance(rejection, Rejection)
    assert rejection.reason == "too few scenes"


def test_clear_fraction_and_nodata() -> None:
    classes = np.repeat(np.arange(12, dtype=np.uint8), 11)
    assert clear_fraction(classes) == pytest.approx(len(CLEAR_CLASSES) / 12)
    dark = tile(at(0))
    dark.pixels[:, 3, 3] = 0  # deep water or shadow: only the scene classification marks no data
    assert not has_nodata(dark)
    edge = tile(at(0))
    edge.scl[0, 0] = 0
    assert has_nodata(edge)
