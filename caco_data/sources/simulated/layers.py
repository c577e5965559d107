"""The fields from which land cover and its look are made."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from caco_data.sentinel2 import PIXEL_M
from caco_data.world.geodesy import LATITUDE_DEGREE_MEAN_M

from .climate import dryness
from .frame import Frame
from .noise import Field
from .parcels import Parcels, parcels

Classes = NDArray[np.uint8]


class Layers:
    """Random fields of a frame; those that few places need are made when they are asked for."""

    def __init__(self, frame: Frame, epsg: int, urban: Field) -> None:
        self.frame = frame
        self.urban = urban
        """1 and more in the middle of a town, 0 in the open country."""
        self.fields = parcels(frame, 51, 170, (9, 38), 3.2)
        self.grain = frame.fractal(81, (2, 3), 0.8)
        """Fine texture, unit variance."""
        self.patches = frame.fractal(83, (48, 20, 8), 0.75)
        """Coarser texture, unit variance."""
        self.region = frame.fractal(84, (2600, 900, 330), 0.7)
        """Kilometres-wide variation, unit variance."""
        degrees = np.abs(frame.coordinates()[1]) * (PIXEL_M / LATITUDE_DEGREE_MEAN_M)  # (H, 1)
        self.latitude: Field = degrees.astype(np.float32)
        """Distance from the equator, degrees, (H, 1)."""
        dry = 0.08 + _climate(frame, epsg) + 0.16 * frame.fractal(85, (2500, 800), 0.6)
        self.dryness: Field = np.clip(dry, 0, 1).astype(np.float32)
        """0 humid, 1 desert."""
        steep = np.clip(0.85 + 0.9 * frame.noise(72, 2500), 0.03, 2.0)
        self.steepness: Field = steep * (1 - 0.9 * np.clip(1.3 * urban, 0, 1))
        """0 plain, 1 hills, 2 mountains; people build where it is level."""

    @cached_property
    def blocks(self) -> Parcels:
        """Blocks of houses between streets."""
        return parcels(self.frame, 52, 110, (7, 13), 2.4)

    @cached_property
    def estates(self) -> Parcels:
        """Industrial estates, parks, solar parks."""
        return parcels(self.frame, 53, 150, (22, 46), 1.9)

    @cached_property
    def speck(self) -> Field:
        """Noise of unit variance, independent a pixel."""
        return self.frame.white(82) * np.float32(1.7)


#: Side of the blocks over which the climate is taken as one, pixels.
CLIMATE_PX = 512


def _climate(frame: Frame, epsg: int) -> Field:
    """Dryness of the climate, (H, W), a value a block."""
    x, y = (axis.ravel() // CLIMATE_PX for axis in frame.coordinates())
    metres = CLIMATE_PX * PIXEL_M
    latitude = -(y + 0.5) * metres / LATITUDE_DEGREE_MEAN_M
    east = (x + 0.5) * metres - 500_000
    meridian = 6.0 * (epsg % 100) - 183.0
    columns, column = np.unique(east, return_inverse=True)
    rows, row = np.unique(latitude, return_inverse=True)
    longitude = meridian + columns / (LATITUDE_DEGREE_MEAN_M * np.cos(np.radians(rows[:, None])))
    return dryness(longitude, rows[:, None]).astype(np.float32)[row][:, column]
