"""The fields from which land cover and its surface are derived."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from caco_data.sentinel2 import PIXEL_M
from caco_data.sources.simulated.climate import dryness
from caco_data.sources.simulated.frame import FractalNoise, Frame
from caco_data.sources.simulated.noise import Field
from caco_data.sources.simulated.parcels import ParcelLayout, Parcels, parcels
from caco_data.sources.simulated.salts import WorldSalt
from caco_data.world.geodesy import LATITUDE_DEGREE_MEAN_M

Classes = NDArray[np.uint8]

FIELDS = ParcelLayout(WorldSalt.FIELDS, region_px=170, width_px=(9, 38), aspect=3.2)
BLOCKS = ParcelLayout(WorldSalt.BLOCKS, region_px=110, width_px=(7, 13), aspect=2.4)
ESTATES = ParcelLayout(WorldSalt.ESTATES, region_px=150, width_px=(22, 46), aspect=1.9)

FINE_TEXTURE = FractalNoise(WorldSalt.FINE_TEXTURE, (2, 3), 0.8)
COARSE_TEXTURE = FractalNoise(WorldSalt.COARSE_TEXTURE, (48, 20, 8), 0.75)
REGION = FractalNoise(WorldSalt.REGION, (2600, 900, 330), 0.7)
#: Factor that scales white noise, uniform in -1..1, to about unit variance.
WHITE_TO_UNIT = np.float32(1.7)

#: Dryness: constant added to that of the climate, and standard deviation of its local variation.
DRYNESS_OFFSET, DRYNESS_VARIATION = 0.08, 0.16
DRYNESS = FractalNoise(WorldSalt.DRYNESS, (2500, 800))

#: Steepness: mean, standard deviation and scale of its variation in pixels, limits.
STEEPNESS_MEAN, STEEPNESS_VARIATION, STEEPNESS_SCALE_PX = 0.85, 0.9, 2500
STEEPNESS_MIN, STEEPNESS_MAX = 0.03, 2.0
#: Towns are built on level ground: the steepness is reduced by the fraction `LEVELLING` where the
#: urban density is at least 1 / `LEVELLING_RATE`.
LEVELLING, LEVELLING_RATE = 0.9, 1.3

UTM_FALSE_EASTING_M = 500_000
#: Side of the blocks within which the climate is constant, pixels.
CLIMATE_PX = 512


class Layers:
    """Random fields of a frame; those used by few frames are computed on first use."""

    def __init__(self, frame: Frame, epsg: int, urban: Field) -> None:
        self.frame = frame
        self.urban = urban
        """Urban density: 1 and more in the centre of a town, 0 in the open country."""
        self.fields = parcels(frame, FIELDS)
        self.fine_texture = frame.fractal(FINE_TEXTURE)
        """Texture of 20 to 30 m, unit variance."""
        self.coarse_texture = frame.fractal(COARSE_TEXTURE)
        """Texture of 80 to 480 m, unit variance."""
        self.region = frame.fractal(REGION)
        """Variation over 3 to 26 km, unit variance."""
        self.latitude: Field = frame.abs_latitude.astype(np.float32)
        """Distance from the equator, degrees, (H, 1)."""
        dry = DRYNESS_OFFSET + _climate(frame, epsg) + DRYNESS_VARIATION * frame.fractal(DRYNESS)
        self.dryness: Field = np.clip(dry, 0, 1).astype(np.float32)
        """0 humid, 1 desert."""
        variation = STEEPNESS_VARIATION * frame.noise(WorldSalt.STEEPNESS, STEEPNESS_SCALE_PX)
        steep = np.clip(STEEPNESS_MEAN + variation, STEEPNESS_MIN, STEEPNESS_MAX)
        self.steepness: Field = steep * (1 - LEVELLING * np.clip(LEVELLING_RATE * urban, 0, 1))
        """0 plain, 1 hills, 2 mountains."""

    @cached_property
    def blocks(self) -> Parcels:
        """Blocks of houses between streets."""
        return parcels(self.frame, BLOCKS)

    @cached_property
    def estates(self) -> Parcels:
        """Large parcels in towns: industrial estates, parks, solar parks."""
        return parcels(self.frame, ESTATES)

    @cached_property
    def pixel_noise(self) -> Field:
        """Noise of unit variance, independent from pixel to pixel."""
        return self.frame.white(WorldSalt.PIXEL_NOISE) * WHITE_TO_UNIT


def _climate(frame: Frame, epsg: int) -> Field:
    """Return the dryness of the climate, (H, W), one value per block."""
    x, y = (axis.ravel() // CLIMATE_PX for axis in frame.coordinates())
    metres = CLIMATE_PX * PIXEL_M
    latitude = -(y + 0.5) * metres / LATITUDE_DEGREE_MEAN_M
    east = (x + 0.5) * metres - UTM_FALSE_EASTING_M
    meridian = 6.0 * (epsg % 100) - 183.0  # of the UTM zone, degrees
    columns, column = np.unique(east, return_inverse=True)
    rows, row = np.unique(latitude, return_inverse=True)
    longitude = meridian + columns / (LATITUDE_DEGREE_MEAN_M * np.cos(np.radians(rows[:, None])))
    return dryness(longitude, rows[:, None]).astype(np.float32)[row][:, column]
