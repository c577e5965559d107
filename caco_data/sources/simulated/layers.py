"""The fields from which land cover and its surface are derived."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from caco_data.sources.simulated.climate import dryness
from caco_data.sources.simulated.frame import FractalNoise, Frame
from caco_data.sources.simulated.noise import Field, derive_seed, points
from caco_data.sources.simulated.partition import Parcels, PartitionLayout, partition
from caco_data.sources.simulated.places import longitude_latitude
from caco_data.sources.simulated.salts import WorldSalt
from caco_data.sources.simulated.units import Units, make_units

Classes = NDArray[np.uint8]

FIELDS = PartitionLayout(
    WorldSalt.FIELDS, region_px=260, block_px=(60, 160), parcel_px=(12, 60), depth=5,
    slant=0.16, warp_px=2.2, warp_scale_px=60,
)  # fmt: skip
STANDS = PartitionLayout(
    WorldSalt.STANDS, region_px=260, block_px=(80, 180), parcel_px=(22, 60), depth=3,
    slant=0.35, warp_px=8.0, warp_scale_px=40,
)  # fmt: skip
BLOCKS = PartitionLayout(
    WorldSalt.BLOCKS, region_px=110, block_px=(26, 56), parcel_px=(6, 13), depth=4,
    slant=0.1, warp_px=1.2, warp_scale_px=50,
)  # fmt: skip
ESTATES = PartitionLayout(
    WorldSalt.ESTATES, region_px=150, block_px=(44, 90), parcel_px=(20, 44), depth=2,
    slant=0.08, warp_px=1.0, warp_scale_px=80,
)  # fmt: skip

COARSE_TEXTURE = FractalNoise(WorldSalt.COARSE_TEXTURE, (48, 20, 8), 0.75)
FINE_TEXTURE = FractalNoise(WorldSalt.FINE_TEXTURE, (3, 6), 0.8)
REGION = FractalNoise(WorldSalt.REGION, (2600, 900, 330), 0.7)
#: Factor that scales white noise, uniform in -1..1, to about unit variance.
WHITE_TO_UNIT = np.float32(1.73)
#: Weights of white noise and of `FINE_TEXTURE` in the fine texture; their squares add up to 1.
WHITE_WEIGHT, FINE_WEIGHT = np.float32(0.8), np.float32(0.6)

#: Dryness: constant added to that of the climate, and standard deviation of its local variation.
DRYNESS_OFFSET, DRYNESS_VARIATION = 0.08, 0.16
DRYNESS = FractalNoise(WorldSalt.DRYNESS, (2500, 800))

#: Steepness: mean, standard deviation and scale of its variation in pixels, limits.
STEEPNESS_MEAN, STEEPNESS_VARIATION, STEEPNESS_SCALE_PX = 0.65, 0.9, 2500
STEEPNESS_MIN, STEEPNESS_MAX = 0.02, 2.0
#: Towns are built on level ground: the steepness is reduced by the fraction `LEVELLING` where the
#: urban density is at least 1 / `LEVELLING_RATE`.
LEVELLING, LEVELLING_RATE = 0.9, 1.3

#: River courses: zero lines of a sum of fields with these scales in pixels and weights. There are
#: rivers where the dryness is below `RIVER_DRYNESS_BELOW`.
RIVER_SCALES_PX, RIVER_WEIGHTS = (1100, 110, 34), (1, 0.1, 0.022)
RIVER_DRYNESS_BELOW = 0.62
#: Field of the lakes, and value above which there is a lake in the most humid climate.
LAKES, LAKE_ABOVE = FractalNoise(WorldSalt.LAKES, (380, 210, 90, 30), 0.7), 2.0

#: Side of the blocks within which the climate is constant, pixels.
CLIMATE_PX = 512


class Layers:
    """Random fields of a frame; those used by few frames are computed on first use."""

    def __init__(self, frame: Frame, epsg: int, urban: Field) -> None:
        self.frame = frame
        self.epsg = epsg
        self.urban = urban
        """Urban density: 1 and more in the centre of a town, 0 in the open country."""
        self.fields = partition(frame, FIELDS)
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
        self._first_unit: dict[str, int] = {}
        self.units = self._units("fields", self.fields, None)
        """Units of the partitions used so far."""

    @cached_property
    def white(self) -> Field:
        """Noise of unit variance, independent from pixel to pixel."""
        return self.frame.white(WorldSalt.PIXEL_NOISE) * WHITE_TO_UNIT

    @cached_property
    def fine_texture(self) -> Field:
        """Texture of 10 to 60 m, unit variance."""
        return WHITE_WEIGHT * self.white + FINE_WEIGHT * self.frame.fractal(FINE_TEXTURE)

    @cached_property
    def river_course(self) -> Field:
        """Field whose zero lines are the courses of rivers, with a margin of 1, (H + 2, W + 2)."""
        wide = self.frame.grown(1)
        salts = (WorldSalt.RIVER_COURSE, WorldSalt.RIVER_BENDS, WorldSalt.RIVER_WINDINGS)
        main, bends, windings = (
            np.float32(weight) * wide.noise(salt, scale_px)
            for salt, scale_px, weight in zip(salts, RIVER_SCALES_PX, RIVER_WEIGHTS, strict=True)
        )
        return np.asarray(main + bends + windings)

    @cached_property
    def lake_field(self) -> Field:
        """Field that is high in lakes, unit variance, with a margin of 1, (H + 2, W + 2)."""
        return self.frame.grown(1).fractal(LAKES)

    @cached_property
    def stands(self) -> Parcels:
        """Stands of forest."""
        return partition(self.frame, STANDS)

    @cached_property
    def blocks(self) -> Parcels:
        """Blocks of houses between streets."""
        return partition(self.frame, BLOCKS)

    @cached_property
    def estates(self) -> Parcels:
        """Large parcels in towns: industrial estates, parks, solar parks."""
        return partition(self.frame, ESTATES)

    def unit_numbers(self, name: str) -> NDArray[np.intp]:
        """Return the unit of each pixel in `fields`, `stands`, `blocks` or `estates`."""
        parcels: Parcels = getattr(self, name)
        if name not in self._first_unit:
            self.units = self._units(name, parcels, self.units)
        return parcels.index + self._first_unit[name]

    def _units(self, name: str, parcels: Parcels, before: Units | None) -> Units:
        self._first_unit[name] = 0 if before is None else len(before.ids)
        units = make_units(self.frame, self.epsg, parcels)
        return units if before is None else before.joined(units)

    def at_parcels(self, noise: FractalNoise, parcels: Parcels) -> Field:
        """Return a fractal field at the centres of parcels, (N,), unit variance."""
        seed = derive_seed(self.frame.seed, noise.salt)
        weights = noise.gain ** np.arange(len(noise.scales_px))
        total = sum(
            weight * points(derive_seed(seed, k), parcels.x, parcels.y, scale_px)
            for k, (scale_px, weight) in enumerate(zip(noise.scales_px, weights, strict=True))
        )
        return np.asarray(total / np.sqrt((weights**2).sum()), dtype=np.float32)


def _climate(frame: Frame, epsg: int) -> Field:
    """Return the dryness of the climate, (H, W), one value per block."""
    x, y = (axis.ravel() // CLIMATE_PX for axis in frame.coordinates())
    columns, column = np.unique((x + 0.5) * CLIMATE_PX, return_inverse=True)
    rows, row = np.unique((y + 0.5) * CLIMATE_PX, return_inverse=True)
    longitude, latitude = longitude_latitude(epsg, columns[None, :], rows[:, None])
    return dryness(longitude, latitude).astype(np.float32)[row][:, column]
