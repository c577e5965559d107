"""Land cover before any change: fields, forest, bare land, water, towns, roads."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from caco_data.sources.simulated.attributes import EstateAttribute, FieldAttribute
from caco_data.sources.simulated.frame import FractalNoise
from caco_data.sources.simulated.land_cover import Cover
from caco_data.sources.simulated.layers import LAKE_ABOVE, RIVER_DRYNESS_BELOW, Classes, Layers
from caco_data.sources.simulated.lines import line_distance
from caco_data.sources.simulated.noise import Field
from caco_data.sources.simulated.roads import roads
from caco_data.sources.simulated.salts import WorldSalt

#: Farming index of a field, about 0..1: mean, range between fields, standard deviation between
#: regions.
FARMING_MEAN, FARMING_SPREAD, FARMING_REGION = 0.5, 0.5, 0.2
FARMING = FractalNoise(WorldSalt.FARMING, (1100, 350), 0.7)
#: Classes by that index: pasture, then annual crops, then permanent crops; herbaceous vegetation at
#: both ends.
ANNUAL_CROP_ABOVE, PERMANENT_CROP_ABOVE = 0.42, 0.8
HERBACEOUS_BELOW, HERBACEOUS_ABOVE = 0.14, 0.98

#: Forest index: weights of its terms, and value above which there is forest.
FOREST_TEXTURE, FOREST_COLD, FOREST_TROPICS, FOREST_DRYNESS = 0.27, 0.9, 0.5, 1.9
FOREST_STEEPNESS, FOREST_PARCEL, FOREST_ABOVE = 0.9, 0.5, 0.3
#: Boreal forest: latitude at which it begins, and width of the transition, degrees.
COLD_LATITUDE, COLD_RANGE = 50, 12
#: Width of the belt of tropical forest, degrees of latitude.
TROPICS_WIDTH = 11

#: Index of uncultivated land: weights, and the values above which it is herbaceous or bare.
UNCULTIVATED = FractalNoise(WorldSalt.UNCULTIVATED, (1500, 500, 120, 40), 0.65)
UNCULTIVATED_TEXTURE, UNCULTIVATED_DRYNESS = 0.8, 2.2
UNCULTIVATED_PARCEL, UNCULTIVATED_STEEPNESS = 0.35, 0.4
HERBACEOUS_LAND_ABOVE, BARE_LAND_ABOVE = 1.2, 2.15

#: Steepness of average land: steeper land has more forest and less farming.
MEAN_STEEPNESS = 0.8

#: Lakes: where their field minus `LAKE_DRYNESS` times the dryness is above `LAKE_ABOVE`.
LAKE_DRYNESS = 1.1
#: Lower limit of the lakes' slope, per pixel; distance of shores that are not near, pixels; width
#: of the land along rivers whose distance is known, pixels.
MIN_LAKE_SLOPE, FAR_PX, NEAR_RIVER_PX = 0.004, 50, 6

#: Towns: where the urban density is above `TOWN_ABOVE`; the field makes the outline rough.
TOWN_EDGE = FractalNoise(WorldSalt.TOWN_EDGE, (60, 24), 0.9)
TOWN_ROUGHNESS, TOWN_ABOVE = 0.55, 0.38
#: Industrial estates in towns: field, weight of the estate's random number, threshold.
INDUSTRY = FractalNoise(WorldSalt.INDUSTRY, (150, 60), 0.6)
INDUSTRY_ESTATE, INDUSTRIAL_ABOVE = 0.5, 1.05
#: Parks in towns: estates with a random number above `PARK_ABOVE`, where the urban density is above
#: `PARK_URBAN_ABOVE`; grass if another random number is above `PARK_GRASS_ABOVE`, else trees.
PARK_ABOVE, PARK_URBAN_ABOVE, PARK_GRASS_ABOVE = 0.92, 0.3, 0.5

#: Half width of rivers, pixels: mean, standard deviation and scale of its variation, limits.
RIVER_PX, RIVER_VARIATION_PX, RIVER_VARIATION_SCALE_PX = 2.6, 2.2, 1500
RIVER_MIN_PX, RIVER_MAX_PX = 0.7, 7


def land_cover(layers: Layers, sea: NDArray[np.bool_]) -> tuple[Classes, Field]:
    """Return the land cover before any change.

    Parameters
    ----------
    layers : Layers
    sea : ndarray of bool, shape (H, W)

    Returns
    -------
    cover : ndarray of uint8, shape (H, W)
        `Cover`.
    shore_px : ndarray of float32, shape (H, W)
        Distance of water from its shore, and of land near rivers from the water (negative), pixels.
    """
    cover = _farmland(layers)
    _add_forest(cover, layers)
    _add_uncultivated(cover, layers)
    shore_px = np.full(cover.shape, -FAR_PX, dtype=np.float32)
    _add_lakes(cover, shore_px, layers)
    _add_rivers(cover, shore_px, layers)
    _add_towns(cover, layers)
    cover[roads(layers.frame) & (cover != Cover.LAKE)] = Cover.HIGHWAY
    cover[sea] = Cover.SEA
    shore_px[sea] = FAR_PX
    return cover, shore_px


def _farmland(layers: Layers) -> Classes:
    parcels = layers.fields
    own = parcels.number(FieldAttribute.FARMING) - np.float32(0.5)
    region = layers.at_parcels(FARMING, parcels)
    farming = FARMING_MEAN + FARMING_SPREAD * own + FARMING_REGION * region
    cover = np.full(farming.shape, Cover.PASTURE, dtype=np.uint8)
    cover[farming > ANNUAL_CROP_ABOVE] = Cover.ANNUAL_CROP
    cover[farming > PERMANENT_CROP_ABOVE] = Cover.PERMANENT_CROP
    cover[(farming > HERBACEOUS_ABOVE) | (farming < HERBACEOUS_BELOW)] = Cover.HERBACEOUS
    return cover.take(parcels.index)


def _add_forest(cover: Classes, layers: Layers) -> None:
    """Add forest on land unsuitable for farming, with irregular edges, and on whole parcels."""
    cold = np.clip((layers.latitude - COLD_LATITUDE) / COLD_RANGE, 0, 1)
    tropics = np.exp(-((layers.latitude / TROPICS_WIDTH) ** 2))
    forest = layers.region + FOREST_TEXTURE * layers.coarse_texture + FOREST_COLD * cold
    forest = forest + FOREST_TROPICS * tropics - FOREST_DRYNESS * layers.dryness
    forest = forest + FOREST_STEEPNESS * (layers.steepness - MEAN_STEEPNESS)
    forest = forest + FOREST_PARCEL * (layers.fields.random(FieldAttribute.FOREST) - 0.5)
    cover[forest > FOREST_ABOVE] = Cover.FOREST


def _add_uncultivated(cover: Classes, layers: Layers) -> None:
    texture = UNCULTIVATED_TEXTURE * layers.frame.fractal(UNCULTIVATED)
    index = texture + UNCULTIVATED_DRYNESS * layers.dryness
    index = index + UNCULTIVATED_PARCEL * (layers.fields.random(FieldAttribute.UNCULTIVATED) - 0.5)
    index = index + UNCULTIVATED_STEEPNESS * (layers.steepness - MEAN_STEEPNESS)
    cover[(index > HERBACEOUS_LAND_ABOVE) & (cover != Cover.FOREST)] = Cover.HERBACEOUS
    cover[index > BARE_LAND_ABOVE] = Cover.BARE


def _add_lakes(cover: Classes, shore_px: Field, layers: Layers) -> None:
    wide = layers.lake_field
    level = LAKE_ABOVE + LAKE_DRYNESS * layers.dryness
    lake = wide[1:-1, 1:-1] > level
    if lake.any():
        slope = np.hypot(wide[2:, 1:-1] - wide[:-2, 1:-1], wide[1:-1, 2:] - wide[1:-1, :-2]) / 2
        depth = (wide[1:-1, 1:-1] - level) / np.maximum(slope, MIN_LAKE_SLOPE)
        cover[lake], shore_px[lake] = Cover.LAKE, depth[lake]


def _add_rivers(cover: Classes, shore_px: Field, layers: Layers) -> None:
    variation = layers.frame.noise(WorldSalt.RIVER_WIDTH, RIVER_VARIATION_SCALE_PX)
    width = np.clip(RIVER_PX + RIVER_VARIATION_PX * variation, RIVER_MIN_PX, RIVER_MAX_PX)
    inside = width * (layers.dryness < RIVER_DRYNESS_BELOW) - line_distance(layers.river_course)
    near = inside > -NEAR_RIVER_PX
    shore_px[near] = np.maximum(shore_px, inside)[near]
    cover[inside > 0] = Cover.RIVER


def _add_towns(cover: Classes, layers: Layers) -> None:
    urban = layers.urban
    edge = layers.frame.fractal(TOWN_EDGE)
    density = urban + TOWN_ROUGHNESS * edge * np.sqrt(np.minimum(urban, 1))
    town = (density > TOWN_ABOVE) & (cover != Cover.RIVER)
    if not town.any():
        return
    estates = layers.estates  # computed on first use, which takes long
    own = INDUSTRY_ESTATE * (estates.random(EstateAttribute.INDUSTRY) - 0.5)
    industry = layers.frame.fractal(INDUSTRY) + own
    park = town & (estates.random(EstateAttribute.PARK) > PARK_ABOVE) & (urban > PARK_URBAN_ABOVE)
    grass = estates.random(EstateAttribute.PARK_COVER) > PARK_GRASS_ABOVE
    cover[town] = Cover.RESIDENTIAL
    cover[park] = np.where(grass, Cover.PASTURE, Cover.FOREST)[park]
    cover[town & (industry > INDUSTRIAL_ABOVE)] = Cover.INDUSTRIAL
