"""Settings of a download."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from datetime import date
from typing import Literal

from caco_data.errors import InputError
from caco_data.sentinel2 import RGB_BANDS
from caco_data.settings_fields import setting
from caco_data.sources.base import SourceSettings
from caco_data.sources.retry import RetryPolicy
from caco_data.types import (
    MANY_PERIODS,
    MAX_PATCH_PX,
    MAX_TILES,
    MIN_PATCH_PX,
    PATCH_PX,
    PATCH_STEP_PX,
    TILES,
    Compress,
    Dtype,
    StackLayout,
    period_names,
)

#: Surface reflectance is global only from December 2018 (Earth Engine catalogue, S2_SR_HARMONIZED).
FIRST_START, LAST_START = date(2019, 1, 1), date(2020, 12, 31)
#: Launch of Sentinel-2A.
MISSION_START = date(2015, 6, 23)
#: Requests per second that a project may start (Earth Engine guide, "Quotas").
QUOTA_PER_SECOND = 100.0
#: Maximum number of worker processes of a local cluster by default.
MAX_WORKERS = 8
CloudMask = Literal["scl", "cs+"]
#: A period of 12 months has 365 days, a year 365.25: they do not overlap.
_MONTH_MARGIN = 0.01


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
    periods: int = setting(
        2, "Number of periods; --dates determines it.", minimum=1, maximum=len(MANY_PERIODS)
    )
    tiles_per_period: int = setting(
        TILES,
        "Tiles per period.",
        minimum=1,
        maximum=MAX_TILES,
        shown_default=f"{TILES}; 1 with --dates",
    )
    period_months: int = setting(
        12, "Length of a period, months of 365 / 12 days.", minimum=1, maximum=12
    )
    gap_years: float = setting(
        4,
        "Years from the start of a period to that of the next; calendar years, and the days of a "
        "fraction of a year.",
        minimum=0,
        maximum=10,
        above_minimum=True,
    )
    months: tuple[int, int] | None = None
    """First and last month (1..12) of the scenes; the last may be in the next year."""
    dates: tuple[date, ...] = ()
    """Dates around which the periods are, ascending."""
    table_dates: bool = False
    """Whether each location has its own dates (`Location.dates`)."""
    tolerance_days: int = setting(
        30, "Days before and after each of --dates.", minimum=1, maximum=182
    )
    before_after: bool = setting(
        False, "The --dates are those of an event: one period before it, and one after it."
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

    def __post_init__(self) -> None:
        """Store whole years as an integer, as in dataset.json of earlier versions."""
        if self.gap_years == round(self.gap_years):
            object.__setattr__(self, "gap_years", round(self.gap_years))

    @property
    def count(self) -> int:
        """Number of periods."""
        if not (self.dates or self.table_dates):
            return self.periods
        return 2 if self.before_after else max(1, len(self.dates))

    def check(self) -> None:
        """Raise InputError for periods that overlap, and for combinations without a meaning."""
        if not (self.dates or self.table_dates):
            if self.before_after:
                raise InputError(
                    "Periods before and after an event need its dates", "--before-after",
                    "Add --dates 2021-06-01, or --dates table",
                )  # fmt: skip
            if self.periods > 1 and self.gap_years * 12 < self.period_months - _MONTH_MARGIN:
                raise InputError(
                    f"Periods of {self.period_months} months, {self.gap_years:g} years apart, "
                    "overlap", "--gap-years", "Use a larger one, or a smaller --period-months",
                )  # fmt: skip
        elif not self.before_after:
            apart = [(b - a).days for a, b in itertools.pairwise(self.dates)]
            if apart and min(apart) <= 2 * self.tolerance_days:
                raise InputError(
                    f"The periods of dates {min(apart)} days apart overlap", "--dates",
                    "Use a smaller --tolerance-days, or other dates",
                )  # fmt: skip


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
    patch_px: int = setting(
        PATCH_PX,
        f"Side of a patch, pixels of 10 m: a multiple of {PATCH_STEP_PX}.",
        minimum=MIN_PATCH_PX,
        maximum=MAX_PATCH_PX,
    )

    @property
    def layout(self) -> StackLayout:
        """Layout of the stacks."""
        names = period_names(self.scenes.count)
        return StackLayout(names, self.scenes.tiles_per_period, self.patch_px)

    def check(self) -> None:
        """Raise InputError for settings that contradict each other."""
        self.scenes.check()
        if rest := self.patch_px % PATCH_STEP_PX:
            raise InputError(
                f"The side of a patch must be a multiple of {PATCH_STEP_PX} pixels (60 m)",
                f"--patch-px {self.patch_px}", f"Use {self.patch_px - rest}",
            )  # fmt: skip


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
