"""Estimate of the requests, bytes and hours of a download, before the first request."""

from __future__ import annotations

from dataclasses import dataclass

from caco_data.dataset.layout import bands_by_pixel
from caco_data.download.settings import FetchSettings
from caco_data.sentinel2 import PIXEL_M, SCL_PIXEL_M
from caco_data.types import PATCH_PX, PERIODS, TILES

#: Candidates read per accepted tile, including cloudy ones: 1.05 for 300 locations of the simulated
#: archive with the default settings; more in cloudier regions.
CANDIDATES = 1.05
#: Seconds per request to Earth Engine; its guide states none, users report 0.5 to 2.
LATENCY_S = 1.0
#: Bytes of a compressed listing.
_LISTING_NBYTES = 50_000


@dataclass(frozen=True, slots=True)
class Estimate:
    """Requests, bytes and hours of a download."""

    locations: int
    """Locations to fetch."""
    least_requests: int
    """Requests when every first candidate is clear."""
    requests: int
    """Requests with typical clouds."""
    received_nbytes: int
    """Bytes of the answers before compression."""
    disk_nbytes: int
    """Bytes of the shards; an upper bound with `--compress zstd`."""
    shards: int
    least_hours: float
    """Hours at the cap on requests per second, 0 without one."""
    hours: float
    """Hours at both caps, when a request takes `LATENCY_S`."""


def estimate(
    locations: int,
    settings: FetchSettings,
    locations_per_shard: int,
    concurrency: int,
    requests_per_second: float | None,
) -> Estimate:
    """Estimate a download from its settings.

    Parameters
    ----------
    locations : int
        Locations to fetch.
    settings : FetchSettings
        Bands and cloud mask.
    locations_per_shard, concurrency, requests_per_second
        As in `DownloadSettings` and `ClusterSettings`.
    """
    tiles = TILES * len(PERIODS)
    of_tile = 2 if settings.scenes.cloud_mask == "cs+" else 1
    listings = len(PERIODS)
    requests = round(locations * (listings + tiles * of_tile * CANDIDATES))
    pixel_nbytes = 2 * len(settings.bands) + 1 + (4 if of_tile == 2 else 0)
    received = tiles * CANDIDATES * PATCH_PX**2 * pixel_nbytes + listings * _LISTING_NBYTES
    quota = requests_per_second or float("inf")
    return Estimate(
        locations,
        locations * (listings + tiles * of_tile),
        requests,
        round(locations * received),
        locations * tiles * tile_nbytes(settings),
        -(-locations // locations_per_shard),
        requests / quota / 3600,
        requests / min(concurrency / LATENCY_S, quota) / 3600,
    )


def tile_nbytes(settings: FetchSettings) -> int:
    """Bytes of a tile's arrays in a shard: bands at their native pixel size, and the SCL."""
    item = 1 if settings.dtype == "uint8" else 2
    native = sum(
        len(bands) * (PATCH_PX * PIXEL_M // side) ** 2
        for side, bands in bands_by_pixel(settings.bands).items()
    )
    return item * native + (PATCH_PX * PIXEL_M // SCL_PIXEL_M) ** 2


def describe(plan: Estimate) -> str:
    """Render an estimate as aligned lines."""
    rows = (
        ("locations", f"{plan.locations:,}"),
        ("requests", f"about {plan.requests:,}, at least {plan.least_requests:,}"),
        ("received", f"about {size(plan.received_nbytes)} before compression"),
        ("on disk", f"at most {size(plan.disk_nbytes)} in {plan.shards:,} shards"),
        (
            "time",
            f"at least {plan.least_hours:,.1f} hours at the quota, "
            f"about {plan.hours:,.1f} when answers take {LATENCY_S:g} s",
        ),
    )
    return "\n".join(f"{name:<10}{value}" for name, value in rows)


def size(nbytes: float) -> str:
    """Bytes as `4.7 MB`."""
    for unit in ("B", "kB", "MB", "GB"):
        if nbytes < 1000:
            return f"{nbytes:.3g} {unit}"
        nbytes /= 1000
    return f"{nbytes:,.1f} TB"
