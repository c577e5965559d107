"""How land cover looks from above, kind by kind: materials, plants, patterns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .frame import Mask
from .land_cover import Cover
from .layers import Classes, Layers
from .noise import Field, uniform
from .spectra import Material, Plants


@dataclass(frozen=True)
class Look:
    """How pixels of some land cover look; arrays of shape (H, W)."""

    cover: Classes
    """`Cover`."""
    material: Classes
    """`Material` of the ground under the plants."""
    plants: Classes
    """`Plants`: what grows, and when."""
    brightness: Field
    """Factor on the material's reflectance."""
    density: Field
    """Factor on the cover of plants."""
    tone: Field
    """Factor on the plants' reflectance."""


def look_of_cover(layers: Layers, cover: Classes) -> Look:
    """How each pixel of a land cover looks."""
    shape = cover.shape
    dry = layers.dryness
    soil = np.where(
        layers.fields.draw(5) + 0.8 * dry > 0.5, Material.LIGHT_SOIL, Material.DARK_SOIL
    )
    soil = np.where(dry > 0.72, Material.SAND, soil).astype(np.uint8)
    look = Look(
        cover, soil, np.zeros(shape, dtype=np.uint8),
        (1 + 0.3 * (layers.fields.draw(6) - 0.5) + 0.035 * layers.patches + 0.03 * layers.grain),
        (1 - 0.75 * np.clip(dry - 0.2, 0, 1)) * (1 + 0.05 * layers.patches + 0.02 * layers.grain),
        (1 + 0.18 * (layers.fields.draw(7) - 0.5) + 0.03 * layers.patches + 0.025 * layers.grain),
    )  # fmt: skip
    for kind, paint in _PAINTERS.items():
        where = cover == kind
        if where.any():
            paint(look, where, layers)
    return look


def _paint_water(look: Look, where: Mask, layers: Layers) -> None:
    look.material[where] = Material.DEEP_WATER
    look.material[where & (look.cover == Cover.RIVER)] = Material.TURBID_WATER
    look.brightness[where] = (1 + 0.1 * layers.region + 0.05 * layers.patches)[where]
    look.density[where] = 0


def _paint_forest(look: Look, where: Mask, layers: Layers) -> None:
    stands = layers.frame.fractal(98, (700, 160), 0.8) + 0.6 * (layers.fields.draw(10) - 0.5)
    conifers = where & (stands + (layers.latitude - 49) / 9 > 0.35) & (layers.latitude > 18)
    look.plants[where] = Plants.BROADLEAF
    look.plants[conifers] = Plants.CONIFER
    look.material[where] = Material.LITTER
    shades = 0.95 + 0.1 * np.clip(stands, -2, 2) + 0.04 * layers.patches + 0.11 * layers.grain
    look.tone[where] = shades[where]


def _paint_fields(look: Look, where: Mask, layers: Layers) -> None:
    crop = layers.fields.draw(8)
    kinds = np.array([Plants.WINTER_CROP, Plants.SUMMER_CROP, Plants.EARLY_CROP, Plants.FALLOW])
    look.plants[where] = kinds[np.digitize(crop, (0.42, 0.76, 0.9))][where]
    rows = 0.03 * np.sin(layers.fields.across * 2.1)  # tracks of the machines
    look.brightness[where] += rows[where]
    hedge = where & (layers.fields.edge_px < 0.8) & (crop > 0.35)
    look.plants[hedge] = Plants.MEADOW
    track = where & (layers.fields.edge_px < 0.7) & (crop < 0.14)
    look.plants[track] = Plants.FALLOW
    look.material[track] = Material.LIGHT_SOIL


def _paint_grass(look: Look, where: Mask, layers: Layers) -> None:
    look.plants[where] = Plants.MEADOW
    hedge = where & (layers.fields.edge_px < 0.9)
    look.plants[hedge] = Plants.BROADLEAF


def _paint_orchard(look: Look, where: Mask, layers: Layers) -> None:
    look.plants[where] = Plants.ORCHARD
    rows = np.sin(layers.fields.along * (2 * np.pi / 3.3))
    look.density[where] *= (1 + 0.3 * rows + 0.1 * layers.speck)[where]


def _paint_shrub(look: Look, where: Mask, layers: Layers) -> None:
    look.plants[where] = Plants.SHRUB
    look.density[where] *= (1 + 0.22 * layers.patches + 0.1 * layers.grain)[where]


def _paint_bare(look: Look, where: Mask, layers: Layers) -> None:
    sandy = layers.dryness + 0.1 * layers.patches > 0.75
    look.material[where] = np.where(sandy, Material.SAND, Material.LIGHT_SOIL)[where]
    look.plants[where] = Plants.FALLOW
    look.density[where] = 0.2
    shades = 1 + 0.08 * layers.region + 0.08 * layers.patches + 0.04 * layers.grain
    look.brightness[where] = shades[where]


def _paint_residential(look: Look, where: Mask, layers: Layers) -> None:
    blocks = layers.blocks
    # Old cores are built up and grey, suburbs leafy; districts differ.
    core = np.clip(
        1.3 * (layers.urban - 0.6) + 0.3 * layers.frame.fractal(97, (140, 50), 0.7), 0, 1
    )
    side = 1.7 + 1.9 * blocks.draw(3)
    lot = uniform(blocks.ids, blocks.across / side, blocks.along / side)
    built = np.clip(0.3 + 0.36 * core + 0.3 * (blocks.draw(1) - 0.5), 0.08, 0.8)
    roof = where & (lot < built)
    height = lot / built
    style = blocks.draw(2) + 0.6 * (height - 0.5) + 0.3 * core
    roofs = np.array(
        [Material.RED_ROOF, Material.DARK_ROOF, Material.CONCRETE, Material.WHITE_ROOF]
    )
    look.plants[where] = Plants.GARDEN
    look.material[where] = np.where(core > 0.45, Material.ASPHALT, Material.DARK_SOIL)[where]
    look.density[where] = ((1.25 - 0.95 * core) * (1 + 0.15 * layers.speck))[where]
    look.brightness[where] = (0.95 + 0.08 * layers.speck)[where]
    look.material[roof] = roofs[np.digitize(style, (0.45, 0.68, 1.42))][roof]
    look.density[roof] = 0.12
    look.brightness[roof] = (0.68 + 0.45 * height + 0.06 * layers.speck)[roof]
    street = where & (blocks.edge_px < 0.62)
    avenue = where & (layers.estates.edge_px < 1.1)
    for road, bright in ((street, 0.95), (avenue, 1.15)):
        look.material[road] = Material.ASPHALT
        look.density[road] = 0.2
        look.brightness[road] = bright


def _paint_industrial(look: Look, where: Mask, layers: Layers) -> None:
    estates = layers.estates
    wide, long = 6 + 13 * estates.draw(4), 5 + 12 * estates.draw(5)
    column, row = np.floor(estates.across / wide), np.floor(estates.along / long)
    hall = uniform(estates.ids, column, row)
    gap = np.minimum(estates.across - column * wide, estates.along - row * long)
    built = where & (hall > 0.25 + 0.4 * estates.draw(6)) & (gap > 1.7) & (estates.edge_px > 2.2)
    lawn = where & (hall < 0.22)
    look.plants[where] = Plants.MEADOW
    look.density[where] = np.where(lawn, 0.8, 0.12)[where]
    look.material[where] = np.where(hall > 0.6, Material.CONCRETE, Material.ASPHALT)[where]
    look.brightness[where] = (0.85 + 0.1 * layers.speck + 0.1 * layers.patches)[where]
    roofs = np.array([Material.DARK_ROOF, Material.CONCRETE, Material.WHITE_ROOF])
    tint = hall * 7 - np.floor(hall * 7)
    style = 0.65 * tint + 0.35 * estates.draw(7)
    look.material[built] = roofs[np.digitize(style, (0.34, 0.68))][built]
    look.brightness[built] = (0.7 + 0.6 * (hall * 31 - np.floor(hall * 31)) + 0.03 * layers.speck)[
        built
    ]
    look.density[built] = 0
    road = where & (estates.edge_px < 1.2)
    look.material[road] = Material.ASPHALT
    look.brightness[road] = 1.1
    look.density[road] = 0.15


def _paint_highway(look: Look, where: Mask, layers: Layers) -> None:
    look.material[where] = Material.ASPHALT
    look.plants[where] = Plants.GARDEN
    look.density[where] = 0.1
    look.brightness[where] = (1.25 + 0.05 * layers.speck)[where]


def _paint_solar(look: Look, where: Mask, layers: Layers) -> None:
    look.material[where] = Material.SOLAR_PANEL
    look.plants[where] = Plants.MEADOW
    rows = np.sin(layers.estates.across * (2 * np.pi / 2.7))
    look.density[where] = (0.22 + 0.14 * rows)[where]
    look.brightness[where] = (1.0 + 0.12 * rows)[where]
    look.density[where & (layers.estates.edge_px < 1.2)] = 0.8


_PAINTERS: dict[Cover, Callable[[Look, Mask, Layers], None]] = {
    Cover.SEA: _paint_water,
    Cover.LAKE: _paint_water,
    Cover.RIVER: _paint_water,
    Cover.FOREST: _paint_forest,
    Cover.ANNUAL_CROP: _paint_fields,
    Cover.PASTURE: _paint_grass,
    Cover.PERMANENT_CROP: _paint_orchard,
    Cover.HERBACEOUS: _paint_shrub,
    Cover.BARE: _paint_bare,
    Cover.RESIDENTIAL: _paint_residential,
    Cover.INDUSTRIAL: _paint_industrial,
    Cover.HIGHWAY: _paint_highway,
    Cover.SOLAR_PARK: _paint_solar,
}
