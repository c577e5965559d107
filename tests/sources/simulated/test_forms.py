"""Junctions, plumes of rivers and valleys of the simulated archive."""

from __future__ import annotations

import numpy as np

from caco_data.sources.simulated.coast import PLUME_PX, plumes
from caco_data.sources.simulated.frame import frame_of
from caco_data.sources.simulated.ground import make_ground
from caco_data.sources.simulated.land_cover import WATER
from caco_data.sources.simulated.roads import MAIN_ROADS, MOTORWAYS, roads
from tests.support.simulated_tiles import grid_at


def test_ramps_join_main_roads_and_motorways_near_their_crossing_only() -> None:
    frame = frame_of(grid_at(5.826, 47.536), 0)
    motorway, main = MOTORWAYS.distance_px(frame), MAIN_ROADS.distance_px(frame)
    off_the_roads = roads(frame) & (motorway > 3) & (main > 3) & (motorway < 14)
    assert off_the_roads[main < 34].sum() > 50
    far = (motorway > 20) & (main > 3)
    assert roads(frame)[far].mean() < 0.02


def test_plumes_are_strongest_at_the_mouth_and_end_out_at_sea() -> None:
    side = 64 + 2 * PLUME_PX
    at_sea = np.zeros((side, side), dtype=bool)
    at_sea[:, PLUME_PX:] = True  # land in the west; a river flows east along the middle row
    south = np.arange(-33.0, 33.0, dtype=np.float32)
    course = np.repeat(south[:, None] / np.float32(1000), 66, axis=1)
    plume = plumes(at_sea, course, np.zeros((64, 64), dtype=np.float32))
    assert plume is not None
    assert plume[32, 0] > 0.9
    assert (np.diff(plume[32]) <= 0).all()
    assert plume[0, 0] < 0.01  # narrow at the mouth
    assert plume[0, 40] > plume[0, 0]  # and wider out at sea
    dried_out = plumes(at_sea, course, np.ones((64, 64), dtype=np.float32))
    assert dried_out is not None
    assert not dried_out.any()


def test_no_plume_far_from_the_coast() -> None:
    field = np.zeros((18, 18), dtype=np.float32)
    for value in (True, False):
        at_sea = np.full((16 + 2 * PLUME_PX,) * 2, value)
        assert plumes(at_sea, field, field[1:-1, 1:-1]) is None


def test_rivers_lie_on_level_ground() -> None:
    ground = make_ground(grid_at(0.121, 49.599), 0)
    steepness = np.hypot(ground.relief_east, ground.relief_south)
    land = ~np.isin(ground.before.cover, WATER)
    near = land & (np.abs(ground.shore_px) < 2)
    assert near.sum() > 500
    assert steepness[near].mean() < 0.4 * steepness[land & ~near].mean()
