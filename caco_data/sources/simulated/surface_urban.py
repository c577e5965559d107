"""Surfaces of housing, industry, roads and solar parks."""

from __future__ import annotations

import numpy as np

from caco_data.sources.simulated.attributes import BlockAttribute, EstateAttribute, FieldAttribute
from caco_data.sources.simulated.frame import FractalNoise, Mask
from caco_data.sources.simulated.land_cover import Cover
from caco_data.sources.simulated.layers import Layers
from caco_data.sources.simulated.noise import Field
from caco_data.sources.simulated.partition import lot_numbers
from caco_data.sources.simulated.salts import WorldSalt
from caco_data.sources.simulated.spectra import Material, Vegetation
from caco_data.sources.simulated.surface import SetSurface, Surface

#: Town cores are densely built, suburbs are green. Core index, 0..1: `CORE_RATE` times the urban
#: density above `CORE_URBAN`, with a variation between districts.
CORES = FractalNoise(WorldSalt.TOWN_CORES, (140, 50), 0.7)
CORE_RATE, CORE_URBAN, CORE_VARIATION = 1.3, 0.6, 0.3
#: Side of a lot in a block, pixels: minimum and range.
LOT_PX, LOT_RANGE_PX = 1.7, 1.9
#: Fraction of lots with a house: in suburbs, increase to the core, range between blocks, limits.
BUILT_FRACTION, BUILT_CORE, BUILT_BLOCK, BUILT_MIN, BUILT_MAX = 0.3, 0.36, 0.6, 0.08, 0.8
#: Roofs by an index: upper limits of the first three; weights of the house's random number and of
#: the core index, which are added to the block's random number.
HOUSE_ROOFS = (
    Material.DARK_ROOF, Material.BROWN_ROOF, Material.RED_ROOF, Material.GREY_ROOF,
    Material.CONCRETE, Material.WHITE_ROOF,
)  # fmt: skip
HOUSE_ROOF_LIMITS = (-0.2, 0.25, 0.8, 1.35, 2.0)
HOUSE_ROOF_HOUSE, HOUSE_ROOF_CORE = 0.5, 0.3
#: Colour of a town's roofs: field of the index and its weight.
ROOF_COLOURS = FractalNoise(WorldSalt.ROOF_COLOURS, (1500, 500), 0.6)
ROOF_TOWN, HOUSE_ROOF_MIDDLE, HOUSE_ROOF_BLOCK = 0.8, 0.6, 1.0
#: Houses stand at most this far from the street in suburbs, pixels; height of houses, pixels.
HOUSE_ROW_PX, HOUSE_HEIGHT, CORE_HEIGHT = 2.6, 0.35, 0.5
#: Trees in gardens: where the white noise is above this; height, pixels.
GARDEN_TREES_ABOVE, GARDEN_TREE_HEIGHT = 1.15, 0.35
#: Brightness of roofs: minimum, range between houses, noise; density of the vegetation on them.
HOUSE_BRIGHTNESS, HOUSE_BRIGHTNESS_RANGE, HOUSE_NOISE, HOUSE_DENSITY = 0.7, 0.38, 0.06, 0.12
#: The ground between houses is asphalt where the core index is above this, elsewhere soil.
PAVED_ABOVE = 0.45
#: Density of gardens: in suburbs, decrease to the core, noise.
GARDEN_DENSITY, GARDEN_CORE, GARDEN_NOISE = 1.25, 0.95, 0.15
#: Brightness of the ground between houses, and its noise.
YARD_BRIGHTNESS, YARD_NOISE = 0.95, 0.08
#: Streets along blocks and avenues along estates: half widths in pixels, brightness; density of
#: the vegetation on both.
STREET_PX, STREET_BRIGHTNESS, AVENUE_PX, AVENUE_BRIGHTNESS = 0.62, 0.95, 1.1, 1.15
STREET_DENSITY = 0.2

#: Sites of halls on an estate, pixels: minimum width and length, and ranges between estates.
HALL_WIDTH_PX, HALL_WIDTH_RANGE_PX, HALL_LENGTH_PX, HALL_LENGTH_RANGE_PX = 6, 13, 5, 12
#: Limits of a site's random number: lawns below the first; halls above a limit with this minimum
#: and range between estates; concrete instead of asphalt above the last.
LAWN_BELOW, HALL_ABOVE, HALL_ABOVE_RANGE, CONCRETE_ABOVE = 0.22, 0.25, 0.4, 0.6
#: Distance of halls from the site's and from the estate's edges, pixels.
HALL_GAP_PX, HALL_EDGE_PX = 1.7, 2.2
#: Density of the vegetation on lawns and on other open ground.
LAWN_DENSITY, OPEN_DENSITY = 0.8, 0.12
#: Brightness of open ground, its pixel noise and its variation by coarse texture.
OPEN_BRIGHTNESS, OPEN_NOISE, OPEN_TEXTURE = 0.85, 0.1, 0.1
#: Roofs of halls by an index: upper limits of the first two; weights of the random numbers of the
#: hall and of the estate in the index.
HALL_ROOFS = (
    Material.DARK_ROOF, Material.GREY_ROOF, Material.BLUE_ROOF, Material.RED_ROOF,
    Material.CONCRETE, Material.WHITE_ROOF,
)  # fmt: skip
HALL_ROOF_LIMITS = (0.2, 0.36, 0.4, 0.5, 0.7)
#: Height of halls, pixels.
HALL_HEIGHT = 0.9
HALL_ROOF_HALL, HALL_ROOF_ESTATE = 0.5, 0.5
#: Brightness of roofs: minimum, range between halls, noise.
HALL_BRIGHTNESS, HALL_BRIGHTNESS_RANGE, HALL_NOISE = 0.7, 0.45, 0.03
#: A site's random number times one of these factors: the fractional part is another random number.
_TINT, _BRIGHTNESS = 7, 31
#: Roads along estates: half width in pixels, brightness, density of the vegetation.
ESTATE_ROAD_PX, ESTATE_ROAD_BRIGHTNESS, ESTATE_ROAD_DENSITY = 1.2, 1.1, 0.15

#: Highways: density of the vegetation, brightness and its noise.
HIGHWAY_DENSITY, HIGHWAY_BRIGHTNESS, HIGHWAY_NOISE = 0.08, 1.25, 0.06

#: Solar parks: spacing of the rows of panels in pixels; density of the grass and brightness of the
#: panels, each with its amplitude across the rows.
PANEL_ROW_PX = 2.7
PANEL_DENSITY, PANEL_DENSITY_ROW, PANEL_BRIGHTNESS, PANEL_BRIGHTNESS_ROW = 0.22, 0.14, 1.0, 0.12
#: Grass along the park's edges: width in pixels and density.
PARK_EDGE_PX, PARK_EDGE_DENSITY = 1.2, 0.8

#: Greenhouses: width of a house and share of the lanes between them.
GREENHOUSE_PX, LANE_WIDTH = 4.0, 0.2
#: Building sites: density of weeds; brightness of the ground, its variation by texture.
SITE_DENSITY, SITE_BRIGHTNESS, SITE_COARSE, SITE_FINE = 0.12, 1.15, 0.12, 0.1


def _set_residential(surface: Surface, where: Mask, layers: Layers) -> None:
    blocks = layers.blocks
    districts = CORE_VARIATION * layers.frame.fractal(CORES)
    core = np.clip(CORE_RATE * (layers.urban - CORE_URBAN) + districts, 0, 1)
    surface.vegetation[where] = Vegetation.GARDEN
    surface.unit[where] = layers.unit_numbers("blocks")[where]
    trees = where & (layers.white > GARDEN_TREES_ABOVE) & (core < PAVED_ABOVE)
    surface.vegetation[trees] = Vegetation.BROADLEAF
    surface.height[trees] = GARDEN_TREE_HEIGHT
    paved = np.where(core > PAVED_ABOVE, Material.ASPHALT, Material.SOIL)
    surface.material[where] = paved[where]
    gardens = 1 + GARDEN_NOISE * layers.white
    surface.density[where] = ((GARDEN_DENSITY - GARDEN_CORE * core) * gardens)[where]
    surface.brightness[where] = (YARD_BRIGHTNESS + YARD_NOISE * layers.white)[where]
    _set_houses(surface, where, layers, core)
    street = where & (blocks.edge_px < STREET_PX)
    avenue = where & (layers.estates.edge_px < AVENUE_PX)
    for road, brightness in ((street, STREET_BRIGHTNESS), (avenue, AVENUE_BRIGHTNESS)):
        surface.material[road] = Material.ASPHALT
        surface.density[road] = STREET_DENSITY
        surface.brightness[road] = brightness
        surface.height[road] = 0


def _set_houses(surface: Surface, where: Mask, layers: Layers, core: Field) -> None:
    blocks = layers.blocks
    side = blocks.spread(LOT_PX + LOT_RANGE_PX * blocks.number(BlockAttribute.LOT_SIDE))
    lot = lot_numbers(blocks, side, side)
    own = BUILT_BLOCK * (blocks.random(BlockAttribute.BUILT) - np.float32(0.5))
    near = (blocks.edge_px < HOUSE_ROW_PX) | (core > PAVED_ABOVE)
    built = np.clip(BUILT_FRACTION + BUILT_CORE * core + own, BUILT_MIN, BUILT_MAX)
    built = np.where(near, built, BUILT_MIN)
    roof = where & (lot < built)
    house = lot / built  # uniform in 0..1 among the lots with a house
    town = HOUSE_ROOF_MIDDLE + ROOF_TOWN * layers.at_parcels(ROOF_COLOURS, blocks)
    own_colour = HOUSE_ROOF_BLOCK * (blocks.number(BlockAttribute.ROOF) - np.float32(0.5))
    index = blocks.spread(town + own_colour) + HOUSE_ROOF_HOUSE * (house - 0.5)
    index = index + HOUSE_ROOF_CORE * core
    surface.material[roof] = np.array(HOUSE_ROOFS)[np.digitize(index, HOUSE_ROOF_LIMITS)][roof]
    surface.density[roof] = HOUSE_DENSITY
    surface.height[roof] = (HOUSE_HEIGHT + CORE_HEIGHT * core * house)[roof]
    brightness = HOUSE_BRIGHTNESS + HOUSE_BRIGHTNESS_RANGE * house
    surface.brightness[roof] = (brightness + HOUSE_NOISE * layers.white)[roof]


def _set_industrial(surface: Surface, where: Mask, layers: Layers) -> None:
    estates = layers.estates
    width, length = (
        estates.spread(low + more * estates.number(attribute))
        for low, more, attribute in (
            (HALL_WIDTH_PX, HALL_WIDTH_RANGE_PX, EstateAttribute.HALL_WIDTH),
            (HALL_LENGTH_PX, HALL_LENGTH_RANGE_PX, EstateAttribute.HALL_LENGTH),
        )
    )
    column, row = np.floor(estates.across / width), np.floor(estates.along / length)
    site = lot_numbers(estates, width, length)
    gap = np.minimum(estates.across - column * width, estates.along - row * length)
    limit = HALL_ABOVE + HALL_ABOVE_RANGE * estates.random(EstateAttribute.BUILT)
    hall = where & (site > limit) & (gap > HALL_GAP_PX) & (estates.edge_px > HALL_EDGE_PX)
    surface.unit[where] = layers.unit_numbers("estates")[where]
    surface.vegetation[where] = Vegetation.MEADOW
    density = np.where(site < LAWN_BELOW, LAWN_DENSITY, OPEN_DENSITY)
    surface.density[where] = density[where]
    paving = np.where(site > CONCRETE_ABOVE, Material.CONCRETE, Material.ASPHALT)
    surface.material[where] = paving[where]
    brightness = OPEN_BRIGHTNESS + OPEN_NOISE * layers.white
    surface.brightness[where] = (brightness + OPEN_TEXTURE * layers.coarse_texture)[where]
    tint = HALL_ROOF_HALL * _fraction(site * _TINT)
    index = tint + HALL_ROOF_ESTATE * estates.random(EstateAttribute.ROOF)
    surface.material[hall] = np.array(HALL_ROOFS)[np.digitize(index, HALL_ROOF_LIMITS)][hall]
    brightness = HALL_BRIGHTNESS + HALL_BRIGHTNESS_RANGE * _fraction(site * _BRIGHTNESS)
    surface.brightness[hall] = (brightness + HALL_NOISE * layers.white)[hall]
    surface.density[hall] = 0
    surface.height[hall] = HALL_HEIGHT
    road = where & (estates.edge_px < ESTATE_ROAD_PX)
    surface.material[road] = Material.ASPHALT
    surface.brightness[road] = ESTATE_ROAD_BRIGHTNESS
    surface.density[road] = ESTATE_ROAD_DENSITY
    surface.height[road] = 0


def _fraction(values: Field) -> Field:
    return np.asarray(values - np.floor(values))


def _set_highway(surface: Surface, where: Mask, layers: Layers) -> None:
    surface.material[where] = Material.ASPHALT
    surface.vegetation[where] = Vegetation.GARDEN
    surface.density[where] = HIGHWAY_DENSITY
    surface.brightness[where] = (HIGHWAY_BRIGHTNESS + HIGHWAY_NOISE * layers.white)[where]


def _set_solar_park(surface: Surface, where: Mask, layers: Layers) -> None:
    surface.material[where] = Material.SOLAR_PANEL
    surface.vegetation[where] = Vegetation.MEADOW
    rows = np.sin(layers.estates.across * (2 * np.pi / PANEL_ROW_PX))
    surface.density[where] = (PANEL_DENSITY + PANEL_DENSITY_ROW * rows)[where]
    surface.brightness[where] = (PANEL_BRIGHTNESS + PANEL_BRIGHTNESS_ROW * rows)[where]
    surface.density[where & (layers.estates.edge_px < PARK_EDGE_PX)] = PARK_EDGE_DENSITY


def _set_greenhouses(surface: Surface, where: Mask, layers: Layers) -> None:
    lanes = np.abs(np.sin(layers.fields.across * (np.pi / GREENHOUSE_PX))) < LANE_WIDTH
    surface.material[where] = Material.GREENHOUSE
    surface.material[where & (lanes | (layers.fields.edge_px < 1))] = Material.GRAVEL
    surface.vegetation[where] = Vegetation.WEEDS
    surface.density[where] = 0.1
    light = 0.75 + 0.25 * layers.fields.random(FieldAttribute.TONE)
    surface.brightness[where] = light[where]


def _set_construction(surface: Surface, where: Mask, layers: Layers) -> None:
    surface.vegetation[where] = Vegetation.WEEDS
    surface.density[where] = SITE_DENSITY
    light = SITE_BRIGHTNESS + SITE_COARSE * layers.coarse_texture + SITE_FINE * layers.fine_texture
    surface.brightness[where] = light[where]


URBAN: dict[Cover, SetSurface] = {
    Cover.RESIDENTIAL: _set_residential,
    Cover.INDUSTRIAL: _set_industrial,
    Cover.HIGHWAY: _set_highway,
    Cover.SOLAR_PARK: _set_solar_park,
    Cover.GREENHOUSE: _set_greenhouses,
    Cover.CONSTRUCTION: _set_construction,
}
