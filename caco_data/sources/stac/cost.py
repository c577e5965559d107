"""Requests and bytes of a patch, without the blocks that neighbouring locations share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from caco_data.sentinel2 import BAND_PIXEL_M, SCL_PIXEL_M
from caco_data.sources.stac.cog import HEADER_NBYTES

#: Side of a block of the services' files, pixels.
_BLOCK_PX = 1024
#: Compressed bytes of a block of a band, and of the scene classes: a read of a 264 x 264 window of
#: a real file takes 1.58 blocks on average and 2.4 MB.
_BAND_NBYTES, _SCL_NBYTES = 1_500_000, 100_000
#: Calendar years of a period that starts at any day, and tiles that contain a patch on average.
_YEARS, _TILES = 2, 1.2
#: Pages of a listing: 150 acquisitions in two collections, 200 items per page. Bytes of an item.
_PAGES, _ITEMS, _ITEM_NBYTES = 2, 300, 22_000


@dataclass(frozen=True, slots=True)
class Cost:
    """Requests and bytes."""

    requests: float
    nbytes: float

    def times(self, factor: float) -> Cost:
        """Return the cost of several."""
        return Cost(self.requests * factor, self.nbytes * factor)

    def plus(self, other: Cost) -> Cost:
        """Return the sum."""
        return Cost(self.requests + other.requests, self.nbytes + other.nbytes)


def listing_cost(from_file: bool, periods: int) -> Cost:
    """Return the cost of the listings of a location; none with `--catalog`."""
    searches = 0 if from_file else periods * _YEARS * _TILES
    return Cost(searches * _PAGES, searches * _ITEMS * _ITEM_NBYTES)


def classes_cost(patch_m: int) -> Cost:
    """Return the cost of the scene classes of a patch."""
    return _file_cost(SCL_PIXEL_M, _SCL_NBYTES, patch_m)


def bands_cost(bands: Sequence[str], patch_m: int) -> Cost:
    """Return the cost of the bands of a patch."""
    total = Cost(0, 0)
    for band in bands:
        total = total.plus(_file_cost(BAND_PIXEL_M[band], _BAND_NBYTES, patch_m))
    return total


def _file_cost(pixel_m: int, block_nbytes: int, patch_m: int) -> Cost:
    """Return the mean cost of a patch in one file: the header, and the blocks that it touches.

    Blocks of one row are neighbours in the file and are read together.
    """
    along = 1 + patch_m / (_BLOCK_PX * pixel_m)
    return Cost(1 + along, HEADER_NBYTES + along**2 * block_nbytes)
