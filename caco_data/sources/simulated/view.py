"""Geometry of an acquisition: misregistration, and the optics that blur the ground.

Acquisitions of the same ground are not on exactly the same pixels. Before Sentinel-2's geometric
refinement (August 2021) two of them are 0.68 pixels apart in the median, 1.17 at 90 %; since
then about 0.2. The shift is that of the pass; a small part of it varies along the track.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from caco_data.sources.simulated.frame import Frame
from caco_data.sources.simulated.noise import Field, derive_seed, normal, smooth
from caco_data.sources.simulated.salts import SceneSalt

#: Median distance of two acquisitions, pixels, before and since the refinement; its day, counted
#: from 2015-07-01 (2021-08-23).
BEFORE_PX, SINCE_PX, REFINED_DAY = 0.68, 0.2, 2245
#: Median distance of two points whose coordinates have unit variance each (Rayleigh distribution).
RAYLEIGH_MEDIAN = math.sqrt(2 * math.log(2))
#: Maximum shift along an axis, pixels.
MAX_SHIFT_PX = 1.3
#: Share of the shift's standard deviation that varies along the track, and its scale in pixels.
JITTER, JITTER_SCALE_PX = 0.2, 300
#: Standard deviation of the optics' point spread, pixels: with the pixel's own aperture, the
#: modulation transfer at the Nyquist frequency is 0.25 (Sentinel-2 mission requirement 0.15-0.3).
PSF_PX = 0.55
#: Pixels around a grid that the optics and the shift move into it.
MARGIN_PX = 3


Weights = tuple[Field, Field, Field]


@dataclass(frozen=True)
class View:
    """Weights by which the pixels of a tile are made from those of the ground."""

    east: tuple[int, Weights]
    """First offset in pixels, and the weights of the pixel there and the next ones, (H, 1) each."""
    south: tuple[int, Weights]

    def seen(self, ground: Field) -> Field:
        """Return a field of the ground, (H + 6, W + 6), as the instrument sees it, (H, W)."""
        m = MARGIN_PX
        height, width = ground.shape[0] - 2 * m, ground.shape[1] - 2 * m
        first, (before, middle, after) = self.south
        top = m + first
        rows = before * ground[top : top + height]
        rows += middle * ground[top + 1 : top + 1 + height]
        rows += after * ground[top + 2 : top + 2 + height]
        first, (before, middle, after) = self.east
        left = m + first
        seen = before * rows[:, left : left + width]
        seen += middle * rows[:, left + 1 : left + 1 + width]
        seen += after * rows[:, left + 2 : left + 2 + width]
        return np.asarray(seen)


def view(key: int, day: int, inner: Frame) -> View:
    """Return the view of a frame, without margin, in a pass with a key on a day."""
    median = BEFORE_PX if day < REFINED_DAY else SINCE_PX
    sigma = median / RAYLEIGH_MEDIAN / math.sqrt(2)
    east, south = (_axis(key, inner, sigma, number) for number in (0, 1))
    return View(east, south)


def _axis(key: int, inner: Frame, sigma: float, number: int) -> tuple[int, Weights]:
    shift = sigma * float(normal(key, SceneSalt.SHIFT, number))
    shift = min(max(shift, -MAX_SHIFT_PX), MAX_SHIFT_PX)
    jitter_seed = derive_seed(key, SceneSalt.JITTER_EAST + number)
    jitter = smooth(jitter_seed, 0, inner.y0, 1, inner.height, JITTER_SCALE_PX)
    shifts = shift + JITTER * sigma * jitter.astype(np.float64)
    first = round(shift) - 1
    weights = [np.exp(-(((first + k - shifts) / PSF_PX) ** 2) / 2) for k in range(3)]
    total = weights[0] + weights[1] + weights[2]
    before, middle, after = ((weight / total).astype(np.float32) for weight in weights)
    return first, (before, middle, after)
