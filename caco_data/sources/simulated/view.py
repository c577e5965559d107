"""Geometry of an acquisition: misregistration, and the optics that blur the ground.

Acquisitions of the same ground are not on exactly the same pixels. Before Sentinel-2's geometric
refinement (August 2021) two of them are 0.68 pixels apart in the median, 1.17 at 90 %; since
then about 0.2. The shift is that of the pass; a small part of it varies along the track.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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
#: Kernel by which the ground is blurred and shifted: cubic, with the parameters B and C of Mitchell
#: and Netravali (1988). They make the contrast almost the same for every shift; with the pixel's
#: own aperture, the mean modulation transfer at the Nyquist frequency is 0.2 (Sentinel-2 mission
#: requirement 0.15-0.3).
KERNEL_B, KERNEL_C = 0.75, 0.4
#: Shift of a pass without misregistration, pixels. Noise decreases with the distance of a shift
#: from whole pixels, 0 to 0.5: here it is that of the average of larger shifts.
REFERENCE_PX = 0.25
#: Pixels around a grid that the optics and the shift move into it.
MARGIN_PX = 3


Weights = tuple[Field, ...]


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
        first, weights = self.south
        parts = (ground[m + first + k :][:height] for k in range(len(weights)))
        rows = _weighted(weights, parts)
        first, weights = self.east
        parts = (rows[:, m + first + k :][:, :width] for k in range(len(weights)))
        return _weighted(weights, parts)


def _weighted(weights: Weights, parts: Iterator[Field]) -> Field:
    total = weights[0] * next(parts)
    for weight, part in zip(weights[1:], parts, strict=True):
        total += weight * part
    return np.asarray(total)


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
    shift += REFERENCE_PX
    shifts = shift + JITTER * sigma * jitter.astype(np.float64)
    first = math.floor(shift) - 1
    weights = [_kernel(np.abs(first + k - shifts)) for k in range(4)]
    total = weights[0] + weights[1] + weights[2] + weights[3]
    return first, tuple((weight / total).astype(np.float32) for weight in weights)


def _kernel(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the cubic kernel at a distance in pixels, times 6."""
    b, c = KERNEL_B, KERNEL_C
    near = (12 - 9 * b - 6 * c) * x**3 + (-18 + 12 * b + 6 * c) * x**2 + 6 - 2 * b
    far = (-b - 6 * c) * x**3 + (6 * b + 30 * c) * x**2 + (-12 * b - 48 * c) * x + 8 * b + 24 * c
    return np.asarray(np.where(x < 1, near, np.where(x < 2, far, 0)))
