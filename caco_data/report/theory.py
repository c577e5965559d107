"""Distributions that the sampler should give (paper, section 3.5)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from caco_data.report.contents import Places
from caco_data.sampling.settings import SampleSettings

Floats = NDArray[np.float64]


def sigma_km(places: Places) -> float | None:
    """Standard deviation of the sampler's Gaussian, km; None if it is unknown or has none."""
    try:
        settings = SampleSettings(seed=places.sampler["seed"], **places.sampler["settings"])
    except (KeyError, TypeError, ValueError):  # made by other software, or a later version
        return None
    return settings.sigma_m / 1000 or None


def rayleigh(x_km: Floats, sigma: float) -> Floats:
    """Probability density per km of the distance of a 2-D Gaussian from its centre."""
    density: Floats = x_km / sigma**2 * np.exp(-(x_km**2) / (2 * sigma**2))
    return density


def geometric(redraws: NDArray[np.int64], highest: int) -> Floats:
    """Expected numbers of locations with 0, 1, ... redraws at one probability of acceptance.

    The probability is the maximum likelihood estimate of the sample.
    """
    accepted = redraws.size / (redraws.size + redraws.sum())
    expected: Floats = redraws.size * accepted * (1 - accepted) ** np.arange(highest + 1)
    return expected
