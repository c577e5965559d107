"""The surface of the ground: material, vegetation and their optical properties per pixel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from caco_data.sources.simulated.attributes import FieldAttribute
from caco_data.sources.simulated.frame import Mask
from caco_data.sources.simulated.land_cover import WATER
from caco_data.sources.simulated.layers import Classes, Layers
from caco_data.sources.simulated.noise import Field
from caco_data.sources.simulated.spectra import Material, Vegetation

#: Materials on which cars stand.
PAVED = (Material.ASPHALT, Material.CONCRETE)
#: Natural ground is sand where the dryness is above this.
SAND_ABOVE = 0.72
#: Relative decrease of vegetation cover per unit of dryness above `THINNING_ABOVE`.
DRY_THINNING, THINNING_ABOVE = 0.75, 0.25


@dataclass(frozen=True, slots=True)
class Variation:
    """Variation of a factor with mean 1."""

    coarse: float
    """Standard deviation due to coarse texture."""
    fine: float
    """Standard deviation due to fine texture."""
    parcel: float = 0.0
    """Range between fields."""


BRIGHTNESS = Variation(coarse=0.05, fine=0.02, parcel=0.2)
TONE = Variation(coarse=0.03, fine=0.006, parcel=0.1)
DENSITY = Variation(coarse=0.02, fine=0.015)


@dataclass(frozen=True)
class Surface:
    """The surface of each pixel; arrays of shape (H, W)."""

    cover: Classes
    """`Cover`."""
    material: Classes
    """`Material` of the ground under the vegetation."""
    vegetation: Classes
    """`Vegetation`: type, which determines the course over the year."""
    unit: NDArray[np.intp]
    """Number of the unit, see `units`."""
    brightness: Field
    """Factor on the material's reflectance."""
    density: Field
    """Factor on the vegetation cover."""
    tone: Field
    """Factor on the vegetation's reflectance."""
    height: Field
    """Height of buildings and crowns above the ground, pixels."""

    def replaced(self, where: Mask, other: Surface) -> Surface:
        """Return this surface with the pixels of another one in a mask."""
        names = [field.name for field in fields(self)]
        return Surface(*(np.where(where, getattr(other, n), getattr(self, n)) for n in names))

    @cached_property
    def material_key(self) -> NDArray[np.intp]:
        """Position of each pixel's material in a table by unit and material."""
        return self.unit * len(Material) + self.material

    @cached_property
    def vegetation_key(self) -> NDArray[np.intp]:
        """Position of each pixel's vegetation in a table by unit and vegetation type."""
        return self.unit * len(Vegetation) + self.vegetation

    @cached_property
    def water_index(self) -> NDArray[np.intp]:
        """Flat positions of the pixels with water."""
        return np.flatnonzero(np.isin(self.cover, WATER))

    @cached_property
    def paved_index(self) -> NDArray[np.intp]:
        """Flat positions of streets and yards, on which cars stand."""
        return np.flatnonzero(np.isin(self.material, PAVED))


#: Sets the surface of the pixels of one land cover, in place.
SetSurface = Callable[[Surface, Mask, Layers], None]


def bare_surface(layers: Layers, cover: Classes) -> Surface:
    """Return bare ground for every pixel, from which each land cover is derived."""
    parcels, coarse, fine = layers.fields, layers.coarse_texture, layers.fine_texture

    def factor(variation: Variation, attribute: FieldAttribute) -> Field:
        own = 1 + variation.parcel * (parcels.number(attribute) - np.float32(0.5))
        values = parcels.spread(own)
        values += np.float32(variation.coarse) * coarse
        values += np.float32(variation.fine) * fine
        return values

    thinned = 1 - DRY_THINNING * np.clip(layers.dryness - THINNING_ABOVE, 0, 1)
    variation = np.float32(DENSITY.coarse) * coarse + np.float32(DENSITY.fine) * fine
    natural = np.where(layers.dryness > SAND_ABOVE, Material.SAND, Material.SOIL)
    return Surface(
        cover,
        material=natural.astype(np.uint8),
        vegetation=np.full(cover.shape, Vegetation.NONE, dtype=np.uint8),
        unit=layers.unit_numbers("fields"),
        brightness=factor(BRIGHTNESS, FieldAttribute.BRIGHTNESS),
        density=(thinned * (1 + variation)).astype(np.float32),
        tone=factor(TONE, FieldAttribute.TONE),
        height=np.zeros(cover.shape, dtype=np.float32),
    )
