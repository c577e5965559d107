"""Image sources that fail in unforeseen ways."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caco_data.sources.limiter import Limiter
from caco_data.types import Footprint, Grid, Scene
from tests.support.plain_source import PlainSettings, PlainSource


class CrashingSource(PlainSource):
    """A source that ends its process when it reads a tile of the given locations."""

    def read_tile(self, scene: Scene, grid: Grid, bands: Sequence[str]) -> NDArray[np.uint16]:
        """Read a tile, or end the process."""
        if grid.left_m in self.settings.cloudy_locations:
            os._exit(1)
        return super().read_tile(scene, grid, bands)


@dataclass(frozen=True)
class CrashingSettings(PlainSettings):
    """Settings of `CrashingSource`; `cloudy_locations` are the locations that crash."""

    def open(self, limiter: Limiter | None = None) -> PlainSource:
        """Open the source."""
        return CrashingSource(self, limiter or Limiter())


class GatedSource(PlainSource):
    """A source that waits with its answers while a file does not exist."""

    def read_tile(self, scene: Scene, grid: Grid, bands: Sequence[str]) -> NDArray[np.uint16]:
        """Wait, then read a tile."""
        assert isinstance(self.settings, GatedSettings)
        while not Path(self.settings.gate).exists():
            time.sleep(0.05)
        return super().read_tile(scene, grid, bands)


@dataclass(frozen=True)
class GatedSettings(PlainSettings):
    """Settings of `GatedSource`."""

    gate: str = ""
    """Path of the file."""

    def open(self, limiter: Limiter | None = None) -> PlainSource:
        """Open the source."""
        return GatedSource(self, limiter or Limiter())


class FailingSource(PlainSource):
    """A source whose listings for the given locations fail in an unforeseen way."""

    def list_scenes(
        self, footprint: Footprint, start: datetime, end: datetime, max_cloud_pct: float = 100.0
    ) -> list[Scene]:
        """List scenes, or fail."""
        assert isinstance(self.settings, FailingSettings)
        if round(footprint.longitudes[0], 6) in self.settings.failing_longitudes:
            raise ZeroDivisionError("unforeseen")
        return super().list_scenes(footprint, start, end, max_cloud_pct)


@dataclass(frozen=True)
class FailingSettings(PlainSettings):
    """Settings of `FailingSource`."""

    failing_longitudes: tuple[float, ...] = ()

    def record(self) -> dict[str, Any]:
        """No setting that changes the images."""
        return {}

    def open(self, limiter: Limiter | None = None) -> PlainSource:
        """Open the source."""
        return FailingSource(self, limiter or Limiter())
