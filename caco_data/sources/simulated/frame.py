"""Absolute pixel coordinates of a grid in its UTM zone, and random fields on them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from caco_data.grid import false_northing_m
from caco_data.sentinel2 import PIXEL_M
from caco_data.sources.simulated.noise import Field, derive_seed, fractal, smooth, white
from caco_data.sources.simulated.salts import WorldSalt
from caco_data.types import Grid
from caco_data.world.geodesy import LATITUDE_DEGREE_MEAN_M

Ids = NDArray[np.uint64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class FractalNoise:
    """Parameters of a fractal field of mean 0 and unit variance."""

    salt: WorldSalt
    scales_px: tuple[int, ...]
    """Feature sizes of the summed fields, pixels, in descending order of weight."""
    gain: float = 0.6
    """Weight of each field relative to the one before."""


@dataclass(frozen=True)
class Frame:
    """A rectangle of absolute pixels of a UTM zone; y grows southwards and is 0 at the equator."""

    seed: int
    """Seed of the zone's world."""
    x0: int
    """Column of the left edge."""
    y0: int
    """Row of the upper edge."""
    width: int
    """Pixels."""
    height: int
    """Pixels."""

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Left edge, upper edge, width and height: the arguments of the noise functions."""
        return self.x0, self.y0, self.width, self.height

    def grown(self, margin: int) -> Frame:
        """Return the frame enlarged by a margin in pixels on every side."""
        return Frame(
            self.seed, self.x0 - margin, self.y0 - margin,
            self.width + 2 * margin, self.height + 2 * margin,
        )  # fmt: skip

    def noise(self, salt: int, scale_px: int) -> Field:
        """Smooth noise of unit variance, (H, W)."""
        return smooth(_salted(self.seed, salt), *self.box, scale_px)

    def fractal(self, noise: FractalNoise) -> Field:
        """Fractal noise of unit variance, (H, W)."""
        return fractal(_salted(self.seed, noise.salt), *self.box, noise.scales_px, noise.gain)

    def coordinates(self) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
        """Pixel centres in absolute pixels, (1, W) and (H, 1)."""
        x = np.arange(self.x0, self.x0 + self.width)[None, :] + 0.5
        y = np.arange(self.y0, self.y0 + self.height)[:, None] + 0.5
        return x, y

    @property
    def abs_latitude(self) -> NDArray[np.floating]:
        """Distance of the pixel rows from the equator, degrees of latitude, (H, 1)."""
        return np.asarray(np.abs(self.coordinates()[1]) * (PIXEL_M / LATITUDE_DEGREE_MEAN_M))

    def white(self, salt: int) -> Field:
        """Noise that is independent from pixel to pixel, uniform in -1..1, (H, W)."""
        return white(_salted(self.seed, salt), *self.box)


@lru_cache(maxsize=4096)
def _salted(seed: int, salt: int) -> int:
    return derive_seed(seed, salt)


def frame_of(grid: Grid, seed: int) -> Frame:
    """Return the frame of a grid in the world of an archive's seed."""
    north = grid.top_m - int(false_northing_m(grid.epsg))
    world = derive_seed(seed, grid.epsg)
    return Frame(world, grid.left_m // PIXEL_M, -north // PIXEL_M, grid.width_px, grid.height_px)
