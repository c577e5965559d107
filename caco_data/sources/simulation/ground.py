"""The ground of a grid: its land cover before and after what changes, and how each pixel looks.

Slow to make and independent of time, so it is made once a place (`simulated` keeps some).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from caco_data.types import PIXEL_M, Grid

from .changes import REACH_PX, events, taken
from .climate import dryness
from .cover import Cover
from .frame import Frame, Mask, frame_of
from .noise import Field, uniform
from .patchwork import Parcels, line_distance, parcels
from .settlement import sea, towns, urbanity
from .spectra import Material, Plants

METRES_A_DEGREE = 110_900.0

Classes = NDArray[np.uint8]

#: Pixels around the grid that the optics blur into it.
MARGIN_PX = 1


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


@dataclass(frozen=True)
class Ground:
    """A place; fields of shape (H, W), a margin of `MARGIN_PX` about the grid included."""

    frame: Frame
    before: Look
    """Until `change_day`."""
    after: Look | None
    """From `change_day` on; None where nothing ever changes."""
    change_day: Field
    """Days from 2015-07-01; infinite where nothing changes."""
    slope_east: Field
    """Rise over run towards the east."""
    slope_south: Field
    """Rise over run towards the south."""
    phase: Field
    """0..1, a draw a parcel: how early its crop is."""
    rotation: Field
    """0..1, another one: which crop it bears in odd years."""
    grain: Field
    """Fine texture, unit variance."""
    patches: Field
    """Coarser texture, unit variance."""


def make_ground(grid: Grid, seed: int) -> Ground:
    """Make the ground of a grid; a pixel is the same in every grid that holds it."""
    frame = frame_of(grid, seed).grown(MARGIN_PX)
    places = towns(grid, frame, REACH_PX)
    layers = _Layers(frame, grid.epsg, urbanity(places, *frame.coordinates()))
    cover = _cover(layers, sea(grid, frame))
    later, change_day = cover.copy(), np.full(cover.shape, np.inf, dtype=np.float32)
    bend = frame.fractal(62, (24, 9))
    for event in events(frame, places):
        where = taken(event, frame, bend) & np.isinf(change_day)
        where &= (cover != event.becomes) & ~np.isin(cover, (Cover.SEA, Cover.RIVER, Cover.LAKE))
        if event.becomes is not Cover.INDUSTRIAL:
            where &= cover != Cover.RESIDENTIAL  # houses give way to nothing less than that
        later[where] = event.becomes
        change_day[where] = event.day
    slope_east, slope_south = _slopes(layers)
    level = np.isin(cover, _LEVEL) | np.isin(later, _LEVEL)
    slope_east[level], slope_south[level] = 0, 0
    after = _look(layers, later) if np.isfinite(change_day).any() else None
    return Ground(
        frame,
        _look(layers, cover),
        after,
        change_day,
        slope_east,
        slope_south,
        phase=layers.fields.draw(1),
        rotation=layers.fields.draw(2),
        grain=layers.grain,
        patches=layers.patches,
    )


#: What is level, or is made so.
_LEVEL = (
    Cover.SEA, Cover.LAKE, Cover.RIVER, Cover.INDUSTRIAL, Cover.RESIDENTIAL, Cover.SOLAR_PARK,
)  # fmt: skip


class _Layers:
    """The fields from which land cover and its look are made, each made when it is asked for."""

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
        degrees = np.abs(frame.coordinates()[1]) * (PIXEL_M / METRES_A_DEGREE)  # (H, 1)
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
    latitude = -(y + 0.5) * metres / METRES_A_DEGREE
    east = (x + 0.5) * metres - 500_000
    meridian = 6.0 * (epsg % 100) - 183.0
    columns, column = np.unique(east, return_inverse=True)
    rows, row = np.unique(latitude, return_inverse=True)
    longitude = meridian + columns / (METRES_A_DEGREE * np.cos(np.radians(rows[:, None])))
    return dryness(longitude, rows[:, None]).astype(np.float32)[row][:, column]


def _slopes(layers: _Layers) -> tuple[Field, Field]:
    """Rise over run of hills: ridges that branch, valleys between them."""
    wide = layers.frame.grown(1)
    height = np.zeros((wide.height, wide.width), dtype=np.float32)
    for salt, scale in enumerate((420, 170, 74, 33, 15)):
        # Rivers cut valleys: the absolute value leaves sharp lines where they run.
        height += np.float32(0.21 * scale**0.92) * np.abs(wide.noise(710 + salt, scale))
    half = layers.steepness / 2
    east = (height[1:-1, 2:] - height[1:-1, :-2]) * half
    south = (height[2:, 1:-1] - height[:-2, 1:-1]) * half
    return east.astype(np.float32), south.astype(np.float32)


def _cover(layers: _Layers, at_sea: NDArray[np.bool_]) -> Classes:
    """Land cover before anything changes."""
    frame, dry, urban = layers.frame, layers.dryness, layers.urban
    # Farmers of a region do alike, and each a little otherwise.
    custom = frame.fractal(99, (1100, 350), 0.7)
    use = 0.5 + 0.5 * (layers.fields.draw(3) - 0.5) + 0.2 * custom
    cover = np.full(urban.shape, Cover.PASTURE, dtype=np.uint8)
    cover[use > 0.42] = Cover.ANNUAL_CROP
    cover[use > 0.8] = Cover.PERMANENT_CROP
    cover[(use > 0.98) | (use < 0.14)] = Cover.HERBACEOUS
    # Woods: where the land is not good for fields, with ragged edges; some whole parcels too.
    cold = np.clip((layers.latitude - 50) / 12, 0, 1)
    rainy = np.exp(-((layers.latitude / 11) ** 2))
    woods = layers.region + 0.4 * layers.patches + 0.9 * cold + 0.5 * rainy - 1.9 * dry
    woods = woods + 0.9 * (layers.steepness - 0.8) + 0.5 * (layers.fields.draw(4) - 0.5)
    cover[woods > 0.3] = Cover.FOREST
    wild = 0.8 * frame.fractal(86, (1500, 500, 120, 40), 0.65) + 2.2 * dry
    wild = wild + 0.35 * (layers.fields.draw(9) - 0.5) + 0.4 * (layers.steepness - 0.8)
    cover[(wild > 1.2) & (cover != Cover.FOREST)] = Cover.HERBACEOUS
    cover[wild > 2.15] = Cover.BARE
    cover[frame.fractal(87, (380, 210, 90, 30), 0.7) - 1.1 * dry > 2.0] = Cover.LAKE
    _draw_rivers(cover, layers)
    developed = urban + 0.22 * frame.fractal(88, (90, 36, 14), 0.75) * np.sqrt(np.minimum(urban, 1))
    town = developed > 0.33
    town &= cover != Cover.RIVER
    if town.any():
        works = frame.fractal(89, (150, 60), 0.6) + 0.5 * (layers.estates.draw(1) - 0.5)
        park = (layers.estates.draw(2) > 0.92) & (urban > 0.3)
        cover[town] = Cover.RESIDENTIAL
        cover[town & park] = np.where(layers.estates.draw(3) > 0.5, Cover.PASTURE, Cover.FOREST)[
            town & park
        ]
        cover[town & (works > 1.05)] = Cover.INDUSTRIAL
    wide = frame.grown(1)
    for salt, scale in ((91, 700), (92, 330)):
        road = line_distance(wide.noise(salt, scale) + 0.06 * wide.noise(salt + 10, 90))
        reach = 1.35 if scale == 700 else 0.75
        cover[(road < reach) & (urban > 0.02)] = Cover.HIGHWAY
    cover[at_sea] = Cover.SEA
    return cover


def _draw_rivers(cover: Classes, layers: _Layers) -> None:
    wide = layers.frame.grown(1)
    course = wide.noise(93, 900) + 0.22 * wide.noise(94, 110) + 0.05 * wide.noise(95, 34)
    width = 2.6 + 2.2 * layers.frame.noise(96, 1500)
    river = line_distance(course) < np.clip(width, 0.7, 7) * (layers.dryness < 0.62)
    cover[river] = Cover.RIVER


def _look(layers: _Layers, cover: Classes) -> Look:
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


def _paint_water(look: Look, where: Mask, layers: _Layers) -> None:
    look.material[where] = Material.DEEP_WATER
    look.material[where & (look.cover == Cover.RIVER)] = Material.TURBID_WATER
    look.brightness[where] = (1 + 0.1 * layers.region + 0.05 * layers.patches)[where]
    look.density[where] = 0


def _paint_forest(look: Look, where: Mask, layers: _Layers) -> None:
    stands = layers.frame.fractal(98, (700, 160), 0.8) + 0.6 * (layers.fields.draw(10) - 0.5)
    conifers = where & (stands + (layers.latitude - 49) / 9 > 0.35) & (layers.latitude > 18)
    look.plants[where] = Plants.BROADLEAF
    look.plants[conifers] = Plants.CONIFER
    look.material[where] = Material.LITTER
    shades = 0.95 + 0.1 * np.clip(stands, -2, 2) + 0.04 * layers.patches + 0.11 * layers.grain
    look.tone[where] = shades[where]


def _paint_fields(look: Look, where: Mask, layers: _Layers) -> None:
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


def _paint_grass(look: Look, where: Mask, layers: _Layers) -> None:
    look.plants[where] = Plants.MEADOW
    hedge = where & (layers.fields.edge_px < 0.9)
    look.plants[hedge] = Plants.BROADLEAF


def _paint_orchard(look: Look, where: Mask, layers: _Layers) -> None:
    look.plants[where] = Plants.ORCHARD
    rows = np.sin(layers.fields.along * (2 * np.pi / 3.3))
    look.density[where] *= (1 + 0.3 * rows + 0.1 * layers.speck)[where]


def _paint_shrub(look: Look, where: Mask, layers: _Layers) -> None:
    look.plants[where] = Plants.SHRUB
    look.density[where] *= (1 + 0.22 * layers.patches + 0.1 * layers.grain)[where]


def _paint_bare(look: Look, where: Mask, layers: _Layers) -> None:
    sandy = layers.dryness + 0.1 * layers.patches > 0.75
    look.material[where] = np.where(sandy, Material.SAND, Material.LIGHT_SOIL)[where]
    look.plants[where] = Plants.FALLOW
    look.density[where] = 0.2
    shades = 1 + 0.08 * layers.region + 0.08 * layers.patches + 0.04 * layers.grain
    look.brightness[where] = shades[where]


def _paint_residential(look: Look, where: Mask, layers: _Layers) -> None:
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


def _paint_industrial(look: Look, where: Mask, layers: _Layers) -> None:
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


def _paint_highway(look: Look, where: Mask, layers: _Layers) -> None:
    look.material[where] = Material.ASPHALT
    look.plants[where] = Plants.GARDEN
    look.density[where] = 0.1
    look.brightness[where] = (1.25 + 0.05 * layers.speck)[where]


def _paint_solar(look: Look, where: Mask, layers: _Layers) -> None:
    look.material[where] = Material.SOLAR_PANEL
    look.plants[where] = Plants.MEADOW
    rows = np.sin(layers.estates.across * (2 * np.pi / 2.7))
    look.density[where] = (0.22 + 0.14 * rows)[where]
    look.brightness[where] = (1.0 + 0.12 * rows)[where]
    look.density[where & (layers.estates.edge_px < 1.2)] = 0.8


_PAINTERS: dict[Cover, Callable[[Look, Mask, _Layers], None]] = {
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
