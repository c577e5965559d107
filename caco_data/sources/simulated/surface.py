"""The surface of the ground: material, vegetation and their optical properties per pixel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np

from caco_data.sources.simulated.frame import Mask
from caco_data.sources.simulated.layers import Classes, Layers
from caco_data.sources.simulated.noise import Field
from caco_data.sources.simulated.parcels import FieldAttribute
from caco_data.sources.simulated.spectra import Material, Vegetation

#: Soil is light where the field's random number plus `SOIL_DRYNESS` times the dryness is above
#: `LIGHT_SOIL_ABOVE`, and sand where the dryness is above `SAND_ABOVE`.
SOIL_DRYNESS, LIGHT_SOIL_ABOVE, SAND_ABOVE = 0.8, 0.5, 0.72
#: Relative decrease of vegetation cover per unit of dryness above `THINNING_ABOVE`.
DRY_THINNING, THINNING_ABOVE = 0.75, 0.2


@dataclass(frozen=True, slots=True)
class Variation:
    """Variation of a factor with mean 1."""

    coarse: float
    """Standard deviation due to coarse texture."""
    fine: float
    """Standard deviation due to fine texture."""
    parcel: float = 0.0
    """Range between fields."""


BRIGHTNESS = Variation(coarse=0.035, fine=0.03, parcel=0.3)
DENSITY = Variation(coarse=0.05, fine=0.02)
TONE = Variation(coarse=0.03, fine=0.025, parcel=0.18)


@dataclass(frozen=True)
class Surface:
    """The surface of each pixel; arrays of shape (H, W)."""

    cover: Classes
    """`Cover`."""
    material: Classes
    """`Material` of the ground under the vegetation."""
    vegetation: Classes
    """`Vegetation`: type, which determines the course over the year."""
    brightness: Field
    """Factor on the material's reflectance."""
    density: Field
    """Factor on the vegetation cover."""
    tone: Field
    """Factor on the vegetation's reflectance."""

    def replaced(self, where: Mask, other: Surface) -> Surface:
        """Return this surface with the pixels of another one in a mask."""
        names = [field.name for field in fields(self)]
        return Surface(*(np.where(where, getattr(other, n), getattr(self, n)) for n in names))


#: Sets the surface of the pixels of one land cover, in place.
SetSurface = Callable[[Surface, Mask, Layers], None]


def bare_surface(layers: Layers, cover: Classes) -> Surface:
    """Return bare soil for every pixel, from which each land cover is derived."""
    parcels, coarse, fine = layers.fields, layers.coarse_texture, layers.fine_texture
    dry = layers.dryness
    light = parcels.random(FieldAttribute.SOIL) + SOIL_DRYNESS * dry > LIGHT_SOIL_ABOVE
    soil = np.where(light, Material.LIGHT_SOIL, Material.DARK_SOIL)

    def factor(variation: Variation, attribute: FieldAttribute) -> Field:
        own = variation.parcel * (parcels.random(attribute) - 0.5)
        return np.asarray(1 + own + variation.coarse * coarse + variation.fine * fine)

    thinned = 1 - DRY_THINNING * np.clip(dry - THINNING_ABOVE, 0, 1)
    return Surface(
        cover,
        material=np.where(dry > SAND_ABOVE, Material.SAND, soil).astype(np.uint8),
        vegetation=np.full(cover.shape, Vegetation.NONE, dtype=np.uint8),
        brightness=factor(BRIGHTNESS, FieldAttribute.BRIGHTNESS),
        density=thinned * (1 + DENSITY.coarse * coarse + DENSITY.fine * fine),
        tone=factor(TONE, FieldAttribute.TONE),
    )
