"""Estimate of a download before its first request: requests, bytes, hours."""

from __future__ import annotations

from dataclasses import dataclass

from caco_data.dataset.layout import bands_by_pixel
from caco_data.download.settings import ClusterSettings, DownloadSettings, FetchSettings
from caco_data.sentinel2 import SCL_PIXEL_M
from caco_data.sources.earthengine.pixels import strips
from caco_data.sources.earthengine.settings import EarthEngineSettings
from caco_data.sources.stac.cost import Cost, bands_cost, classes_cost, listing_cost
from caco_data.sources.stac.settings import StacSettings
from caco_data.types import Grid

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
    shared: bool = False
    """Whether neighbouring locations share requests, so that `requests` is an upper limit."""


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
    least, usual = (_cost(settings, per_tile) for per_tile in (1, CANDIDATES))
    requests = round(locations * usual.requests)
    rate = cluster.requests_per_second or float("inf")
    return Estimate(
        locations,
        round(locations * least.requests),
        requests,
        round(locations * usual.nbytes),
        locations * settings.fetch.layout.rows * tile_nbytes(settings.fetch),
        -(-locations // settings.locations_per_shard),
        requests / rate / 3600,
        requests / min(cluster.concurrency / LATENCY_S, rate) / 3600,
        shared=isinstance(settings.source, StacSettings),
    )


def _cost(settings: DownloadSettings, candidates: float) -> Cost:
    """Cost of a location with a number of candidates per tile."""
    fetch, source = settings.fetch, settings.source
    layout = fetch.layout
    if isinstance(source, StacSettings):
        listing = listing_cost(source.catalog is not None, len(layout.periods))
        # The bands are read of clear candidates only.
        classes = classes_cost(layout.patch_m).times(candidates)
        tiles = classes.plus(bands_cost(fetch.bands, layout.patch_m))
        return listing.plus(tiles.times(layout.rows))
    scored = fetch.scenes.cloud_mask == "cs+"
    pixel_nbytes = 2 * len(fetch.bands) + 1 + (4 if scored else 0)
    reads = 1
    if isinstance(source, EarthEngineSettings):  # SCL is one more band
        reads = len(strips(Grid(0, 0, 0, layout.patch_px, layout.patch_px), len(fetch.bands) + 1))
    tile = Cost(reads + scored, layout.patch_px**2 * pixel_nbytes)
    return (
        Cost(1, _LISTING_NBYTES)
        .times(len(layout.periods))
        .plus(tile.times(layout.rows * candidates))
    )


def tile_nbytes(settings: FetchSettings) -> int:
    """Bytes of a tile's arrays in a shard: bands at their native pixel size, scene classes."""
    patch_m = settings.layout.patch_m
    item = 1 if settings.dtype == "uint8" else 2
    native = sum(
        len(bands) * (patch_m // side) ** 2
        for side, bands in bands_by_pixel(settings.bands).items()
    )
    return item * native + (patch_m // SCL_PIXEL_M) ** 2
