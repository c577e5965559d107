"""Requests to the test server through caco-data's source."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from caco_data.errors import CacoDataError
from caco_data.grid import grid_footprint
from caco_data.sources.base import ImageSource
from caco_data.sources.earthengine.settings import EarthEngineSettings
from caco_data.sources.earthengine.source import EarthEngineSource
from caco_data.types import Grid, Scene
from tests.support.earthengine.faults import FaultPlan
from tests.support.earthengine.server import EarthEngineServer
from tests.support.simulated_tiles import grid_at

YEAR = (datetime(2020, 3, 1, tzinfo=UTC), datetime(2021, 3, 1, tzinfo=UTC))
#: Toulouse.
GRID = grid_at(1.44, 43.6)


def opened(server: EarthEngineServer, **settings: Any) -> EarthEngineSource:
    return EarthEngineSettings(url=server.url, **settings).open()


def scenes_at(source: ImageSource, grid: Grid = GRID) -> list[Scene]:
    return sorted(source.list_scenes(grid_footprint(grid), *YEAR), key=lambda s: s.image_id)


def failure_of_tile(
    server: EarthEngineServer, plan: FaultPlan, scene: Scene, bands: Sequence[str] = ("B4",)
) -> CacoDataError:
    """Return the error of reading a tile after the source was opened without faults."""
    source = opened(server)
    server.plan = plan
    with pytest.raises(CacoDataError) as caught:
        source.read_tile(scene, GRID, bands)
    return caught.value


def failure_of_listing(server: EarthEngineServer, plan: FaultPlan) -> CacoDataError:
    """Return the error of a listing after the source was opened without faults."""
    source = opened(server)
    server.plan = plan
    with pytest.raises(CacoDataError) as caught:
        scenes_at(source)
    return caught.value


def failure_of_opening(url: str, **settings: Any) -> CacoDataError:
    with pytest.raises(CacoDataError) as caught:
        EarthEngineSettings(url=url, **settings).open()
    return caught.value
