"""Scaling of the bands to the input of the networks, as in the authors' code."""

from __future__ import annotations

from typing import NamedTuple

#: Range of a band on the scale DN / 10000 * 255 that is mapped to 0..1: for B2, B3 and B4 the
#: quantiles used by the authors; for the others, ranges typical of vegetation and bare ground.
STRETCH = {
    "B1": (3, 88), "B2": (3, 88), "B3": (2, 103), "B4": (0, 129), "B5": (0, 129), "B6": (0, 153),
    "B7": (0, 153), "B8": (0, 153), "B8A": (0, 153), "B9": (0, 153), "B11": (0, 153),
    "B12": (0, 129),
}  # fmt: skip
#: ImageNet mean and standard deviation of red, green and blue; other bands use their averages.
NORMALISATION = {"B4": (0.485, 0.229), "B3": (0.456, 0.224), "B2": (0.406, 0.225)}
OTHER_BANDS = (0.449, 0.226)


class BandScaling(NamedTuple):
    """Scaling of a band: range mapped to 0..1, then mean and standard deviation."""

    low: float
    high: float
    mean: float
    std: float


def band_scaling(band: str) -> BandScaling:
    """Scaling of a Sentinel-2 band in training."""
    return BandScaling(*STRETCH[band], *NORMALISATION.get(band, OTHER_BANDS))
