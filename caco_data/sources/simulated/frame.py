"""A grid as absolute pixels of its zone's world, and the random fields on it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from caco_data.grid import false_northing_m
from caco_data.sentinel2 import PIXEL_M
from caco_data.types import Grid

from .noise import Field, fractal, mix, smooth, white

Ids = NDArray[np.uint64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Frame:
    """A grid in absolute pixels of its zone; y grows southwards, 0 at the equator."""

    seed: int
    """Of the zone's world."""
    x0: int
    y0: int
    width: int
    height: int

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Arguments of the noise functions."""
        return self.x0, self.y0, self.width, self.height

    def grown(self, margin: int) -> Frame:
        """Grow by a margin on every side."""
        return Frame(
            self.seed, self.x0 - margin, self.y0 - margin,
            self.width + 2 * margin, self.height + 2 * margin,
        )  # fmt: skip

    def noise(self, salt: int, scale: int) -> Field:
        """Smooth noise of this world."""
        return smooth(_salted(self.seed, salt), *self.box, scale)

    def fractal(self, salt: int, scales: tuple[int, ...], gain: float = 0.6) -> Field:
        """Fractal noise of this world."""
        return fractal(_salted(self.seed, salt), *self.box, scales, gain)

    def coordinates(self) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
        """Pixel centres in absolute pixels, (1, W) and (H, 1)."""
        x = np.arange(self.x0, self.x0 + self.width)[None, :] + 0.5
        y = np.arange(self.y0, self.y0 + self.height)[:, None] + 0.5
        return x, y

    def white(self, salt: int) -> Field:
        """Independent noise a pixel, -1..1."""
        return white(_salted(self.seed, salt), *self.box)


@lru_cache(maxsize=4096)
def _salted(seed: int, salt: int) -> int:
    return int(mix(seed, salt)) >> 1


def frame_of(grid: Grid, seed: int) -> Frame:
    """Absolute pixel frame of a grid."""
    north = grid.top_m - int(false_northing_m(grid.epsg))
    world = int(mix(seed, grid.epsg)) >> 1
    return Frame(world, grid.left_m // PIXEL_M, -north // PIXEL_M, grid.width_px, grid.height_px)
