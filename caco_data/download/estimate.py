"""Estimate of a download before its first request: requests, bytes, hours."""

from __future__ import annotations

from dataclasses import dataclass

from caco_data.dataset.layout import bands_by_pixel
from caco_data.download.settings import ClusterSettings, DownloadSettings, FetchSettings
from caco_data.sentinel2 import SCL_PIXEL_M
from caco_data.types import PATCH_M, PATCH_PX, PERIODS, TILES

#: Scenes read per accepted tile, also at rejected locations: mean of 300 locations of the simulated
#: archive with the default settings. Cloudier regions require more.
CANDIDATES = 1.05
#: Seconds per request to Earth Engine: not documented, users report 0.5 to 2.
LATENCY_S = 1.0
#: Compressed bytes of a listing.
_LISTING_NBYTES = 50_000


@dataclass(frozen=True, slots=True)
class Estimate:
    """Requests, bytes and hours of a download."""

    locations: int
    """Locations to fetch."""
    min_requests: int
    """Requests if every first candidate is clear."""
    requests: int
    """Requests with usual cloud cover, `CANDIDATES` per tile."""
    received_nbytes: int
    """Bytes of the responses before compression."""
    disk_nbytes: int
    """Bytes of the shards; an upper limit with `--compress zstd`."""
    shards: int
    """Number of shards."""
    min_hours: float
    """Hours at the maximum request rate; 0 without one."""
    hours: float
    """Hours at the maximum rate and concurrency if each request takes `LATENCY_S`."""


def estimate(locations: int, settings: DownloadSettings, cluster: ClusterSettings) -> Estimate:
    """Estimate a download from its settings.

    Parameters
    ----------
    locations : int
        Locations to fetch.
    settings : DownloadSettings
        Settings of the data set.
    cluster : ClusterSettings
        Maximum concurrency and request rate.
    """
    tiles = TILES * len(PERIODS)
    fetch = settings.fetch
    scored = fetch.scenes.cloud_mask == "cs+"
    per_tile = 2 if scored else 1
    listings = len(PERIODS)
    requests = round(locations * (listings + tiles * per_tile * CANDIDATES))
    pixel_nbytes = 2 * len(fetch.bands) + 1 + (4 if scored else 0)
    received = tiles * CANDIDATES * PATCH_PX**2 * pixel_nbytes + listings * _LISTING_NBYTES
    rate = cluster.requests_per_second or float("inf")
    return Estimate(
        locations,
        locations * (listings + tiles * per_tile),
        requests,
        round(locations * received),
        locations * tiles * tile_nbytes(fetch),
        -(-locations // settings.locations_per_shard),
        requests / rate / 3600,
        requests / min(cluster.concurrency / LATENCY_S, rate) / 3600,
    )


def tile_nbytes(settings: FetchSettings) -> int:
    """Bytes of a tile's arrays in a shard: bands at their native pixel size, scene classes."""
    item = 1 if settings.dtype == "uint8" else 2
    native = sum(
        len(bands) * (PATCH_M // side) ** 2
        for side, bands in bands_by_pixel(settings.bands).items()
    )
    return item * native + (PATCH_M // SCL_PIXEL_M) ** 2
