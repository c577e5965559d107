"""Settings of a download."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import Literal

from caco_data.sources.base import SourceSettings
from caco_data.sources.retry import RetryPolicy
from caco_data.types import (
    Compress,
    Dtype,
)

#: Surface reflectance is global only from December 2018 (Earth Engine catalogue, S2_SR_HARMONIZED).
FIRST_START, LAST_START = date(2019, 1, 1), date(2020, 12, 31)
CloudMask = Literal["scl", "cs+"]


@dataclass(frozen=True, slots=True)
class SceneSettings:
    """What decides the scenes of a location."""

    seed: int = 0
    """Draws t1, together with the location's id."""
    first_start: date = FIRST_START
    """Earliest t1."""
    last_start: date = LAST_START
    """Latest t1."""
    gap_years: int = 4
    """t2 - t1, calendar years."""
    max_cloud_pct: float = 20.0
    """Scenes with more clouds over all are not tried, 0..100."""
    cloud_mask: CloudMask = "scl"
    """What tells clear pixels inside the patch: `scl`, the scene classification; `cs+`, Cloud
    Score+, and where a scene has none its classification."""
    min_clear: float = 0.9
    """Least clear fraction of an accepted tile, 0..1."""
    min_spacing_days: float = 10.0
    """Least distance in days of a borrowed scene from every accepted one of its period."""


@dataclass(frozen=True, slots=True)
class FetchSettings:
    """What decides the bytes of a location, beside its source."""

    scenes: SceneSettings
    bands: tuple[str, ...]
    """L2A bands in the wanted order."""
    dtype: Dtype = "uint16"
    compress: Compress = "none"


#: Worker processes of a local cluster, when nothing else is said: one a core, but no more.
MAX_WORKERS = 8


@dataclass(frozen=True)
class ClusterSettings:
    """How the work is spread; none of it changes the data set's bytes."""

    concurrency: int = 40
    """Most requests in flight over all workers (Earth Engine's quota a project)."""
    requests_per_second: float | None = None
    """Most requests started a second over all workers; None for no cap."""
    workers: int | None = None
    """Worker processes of the local cluster; None for one a core, at most `MAX_WORKERS`."""
    scheduler: str | None = None
    """Address of an existing Dask scheduler, used instead of a local cluster."""
    retry: RetryPolicy = field(default_factory=RetryPolicy)


@dataclass(frozen=True)
class DownloadSettings:
    """What decides the data set's bytes, beside its locations."""

    source: SourceSettings
    fetch: FetchSettings
    locations_per_shard: int = 128
    fill: bool = False
    """Draw replacements for rejected locations, by the sampler's next rows."""
