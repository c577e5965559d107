"""Settings of a download."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import Literal

from caco_data.sentinel2 import RGB_BANDS
from caco_data.settings_fields import setting
from caco_data.sources.base import SourceSettings
from caco_data.sources.retry import RetryPolicy
from caco_data.types import Compress, Dtype

#: Surface reflectance is global only from December 2018 (Earth Engine catalogue, S2_SR_HARMONIZED).
FIRST_START, LAST_START = date(2019, 1, 1), date(2020, 12, 31)
#: Launch of Sentinel-2A.
MISSION_START = date(2015, 6, 23)
#: Requests per second that a project may start (Earth Engine guide, "Quotas").
QUOTA_PER_SECOND = 100.0
#: Maximum number of worker processes of a local cluster by default.
MAX_WORKERS = 8
CloudMask = Literal["scl", "cs+"]


@dataclass(frozen=True, slots=True)
class SceneSettings:
    """Settings that determine the scenes of a location."""

    seed: int = setting(
        0,
        "Seed of the random start dates of the early periods.",
        minimum=0,
        maximum=2**63 - 1,
        shown_default="seed of the locations table, or 0",
    )
    first_start: date = FIRST_START
    """Earliest start of an early period."""
    last_start: date = LAST_START
    """Latest start of an early period."""
    gap_years: int = setting(
        4, "Calendar years from the early to the late period.", minimum=1, maximum=10
    )
    max_cloud_pct: float = setting(
        20.0, "Maximum scene cloud cover in percent.", option="max-cloud", minimum=0, maximum=100
    )
    cloud_mask: CloudMask = setting(
        "scl",
        "Cloud mask of the patch: the scene classification (scl), or Cloud Score+ (cs+), which "
        "takes one more request per tile and uses scl for scenes without a score.",
    )
    min_clear: float = setting(
        0.9, "Minimum clear fraction within the patch.", minimum=0, maximum=1
    )
    min_spacing_days: float = setting(
        10.0,
        "Minimum number of days between a scene that fills a neighbouring slot and the other "
        "scenes of its period.",
        option="min-spacing",
        minimum=0,
        maximum=73,
    )


@dataclass(frozen=True, slots=True)
class FetchSettings:
    """Settings that determine the bytes of a location, in addition to its source."""

    scenes: SceneSettings
    bands: tuple[str, ...] = setting(
        RGB_BANDS,
        "rgb (B4,B3,B2), all, or a list such as B2,B3,B4,B8, stored in this order.",
        shown_default="rgb",
    )
    dtype: Dtype = setting("uint16", "uint16: DN (reflectance x 10,000); uint8: DN / 10000 * 255.")
    compress: Compress = setting("none", "zstd: smaller shards, slower to read.")


@dataclass(frozen=True)
class ClusterSettings:
    """Workers and request limits; no effect on the bytes of the data set."""

    concurrency: int = setting(
        40, "Maximum number of requests in flight over all workers.", count=True
    )
    requests_per_second: float | None = setting(
        None,
        "Maximum number of requests started per second over all workers.",
        minimum=0,
        above_minimum=True,
        shown_default=f"{QUOTA_PER_SECOND:g}, the quota, for earthengine; no limit for simulated",
    )
    workers: int | None = setting(
        None,
        "Worker processes of the local cluster.",
        minimum=1,
        maximum=256,
        shown_default=f"one per core, at most {MAX_WORKERS}",
    )
    scheduler: str | None = setting(
        None,
        "Existing Dask scheduler instead of a local cluster: its address (tcp://host:8786 or "
        "tls://host:8786) or its scheduler file.",
        metavar="ADDRESS",
    )
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    """Retries of transient failures."""


@dataclass(frozen=True)
class DownloadSettings:
    """Settings that determine the bytes of the data set, in addition to its locations."""

    source: SourceSettings
    fetch: FetchSettings
    locations_per_shard: int = setting(
        128, "Rows of the locations table per shard.", minimum=1, maximum=100_000
    )
    fill: bool = setting(
        False,
        "Replace rejected locations with further rows of the sampler until all are complete.",
        switch=True,
        shown_default="fill, for a table of 'caco-data sample'",
    )
