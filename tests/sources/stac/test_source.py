"""The STAC source with the test server: scenes and pixels are those of the simulated archive."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from caco_data.grid import grid_footprint
from caco_data.sentinel2 import ALL_BANDS, SCL_BAND
from caco_data.sources.base import ImageSource, PlannedSource, SceneClassSource, SourceSettings
from caco_data.sources.simulated.settings import SimulatedSettings
from caco_data.sources.simulated.source import SimulatedSource
from caco_data.sources.stac.settings import StacSettings
from caco_data.types import Grid, Scene
from tests.support.simulated_tiles import grid_at
from tests.support.stac_server.server import StacServer

YEAR = (datetime(2021, 9, 1, tzinfo=UTC), datetime(2022, 9, 1, tzinfo=UTC))
#: Toulouse; Buenos Aires; a village just east of the antimeridian; Bergen, in zone 32V.
PLACES = [(1.44, 43.6), (-58.4, -34.6), (-179.97, -16.6), (5.33, 60.39)]


@pytest.fixture(scope="module")
def archive() -> SimulatedSource:
    return SimulatedSettings().open()


@pytest.fixture(scope="module")
def server(archive: SimulatedSource) -> Iterator[StacServer]:
    patches = [grid_at(*place) for place in PLACES]
    with StacServer(archive, patches=patches) as running:
        yield running


def _satisfies_protocols() -> tuple[
    SourceSettings,
    Callable[..., ImageSource],
    Callable[..., SceneClassSource],
    Callable[..., PlannedSource],
]:
    """Let mypy check the source against the protocols."""
    settings = StacSettings()
    return settings, settings.open, settings.open, settings.open


def usable(source: ImageSource, grid: Grid) -> list[Scene]:
    """Scenes in the grid's CRS whose tile contains the grid."""
    from caco_data.download.plan import usable as usable_scenes
    from caco_data.download.settings import SceneSettings

    scenes = source.list_scenes(grid_footprint(grid), *YEAR)
    return usable_scenes(scenes, grid, SceneSettings(max_cloud_pct=100.0))


def archive_name(scene: Scene) -> str:
    return scene.image_id.removesuffix("_sentinel-2-l2a").removesuffix("_sentinel-2-c1-l2a")


@pytest.mark.parametrize("place", PLACES)
def test_usable_scenes_are_those_of_the_archive_in_the_same_order(
    server: StacServer, archive: SimulatedSource, place: tuple[float, float]
) -> None:
    grid = grid_at(*place)
    found = usable(StacSettings(server.url).open(), grid)
    expected = usable(archive, grid)
    assert len(expected) > 30
    assert [archive_name(scene) for scene in found] == [scene.image_id for scene in expected]
    for one, other in zip(found, expected, strict=True):
        assert (one.acquired, one.cloud_pct, one.epsg) == (
            other.acquired,
            other.cloud_pct,
            other.epsg,
        )


@pytest.mark.parametrize("place", PLACES)
def test_tiles_equal_those_of_the_archive_in_every_band(
    server: StacServer, archive: SimulatedSource, place: tuple[float, float]
) -> None:
    grid = grid_at(*place)
    source = StacSettings(server.url).open()
    scenes = usable(source, grid)
    kinds = {(s.offset_dn, s.image_id.rsplit("_", 1)[1], s.acquired.year): s for s in scenes}
    assert {offset for offset, _, _ in kinds} == {0, 1000}
    bands = (*ALL_BANDS, SCL_BAND)
    for scene in list(kinds.values())[:3]:
        known = pickle.loads(pickle.dumps(scene))  # as sent to another process
        tile = source.read_tile(known, grid, bands)
        original = replace(scene, image_id=archive_name(scene))
        expected = archive.read_tile(original, grid, bands)
        assert tile.dtype == np.uint16
        np.testing.assert_array_equal(tile, expected)
        np.testing.assert_array_equal(
            source.read_scene_classes(scene, grid), expected[-1, ::2, ::2]
        )
