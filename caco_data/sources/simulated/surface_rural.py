"""Surfaces of water, forest, farmland and open land."""

from __future__ import annotations

import numpy as np

from caco_data.sources.simulated.attributes import FieldAttribute, StandAttribute
from caco_data.sources.simulated.farmsteads import add_farmsteads
from caco_data.sources.simulated.frame import FractalNoise, Mask
from caco_data.sources.simulated.land_cover import Cover
from caco_data.sources.simulated.layers import Layers
from caco_data.sources.simulated.salts import WorldSalt
from caco_data.sources.simulated.spectra import Material, Vegetation
from caco_data.sources.simulated.surface import SetSurface, Surface

#: Forest stands: field that mixes conifers and broadleaved trees, and weight of the stand's number.
STANDS = FractalNoise(WorldSalt.FOREST_STANDS, (700, 160), 0.8)
STAND_OWN = 1.2
#: Conifers grow where the stand's value plus (latitude - `CONIFER_LATITUDE`) / `CONIFER_RANGE`, in
#: degrees, is above `CONIFER_ABOVE`; nowhere below the latitude `CONIFER_MIN_LATITUDE`.
CONIFER_LATITUDE, CONIFER_RANGE, CONIFER_ABOVE, CONIFER_MIN_LATITUDE = 49, 7, 0.5, 18
#: Trees of the other kind within a stand: where the coarse texture is above this.
MIXED_ABOVE = 2.6
#: Tone of forest: mean; range between stands; weights of coarse and fine texture (the crowns).
FOREST_TONE, FOREST_STAND, FOREST_COARSE, FOREST_FINE = 0.95, 0.03, 0.01, 0.07
#: Height of the crowns' relief, standard deviation, pixels.
CROWN_HEIGHT_PX = 0.03

#: Half width of tracks along blocks of fields, pixels, and the fraction of fields without; density
#: of the plants on them; fraction of tracks that are grassed.
TRACK_PX, NO_TRACK_BELOW, TRACK_DENSITY, GRASSED_BELOW = 0.5, 0.5, 0.5, 0.65
#: Density of the plants on other tracks; brightness of the ground relative to gravel.
OPEN_TRACK_DENSITY, TRACK_BRIGHTNESS = 0.3, 0.85
#: Ditches along fields: in plains where the steepness is below this, for fields with a number above
#: `DITCH_ABOVE`; half width, pixels.
DITCH_STEEPNESS, DITCH_ABOVE, DITCH_PX = 0.45, 0.55, 0.5
#: Rows of trees along fields: fields with a number above this; half width and height, pixels.
TREES_ABOVE, TREES_PX, TREES_HEIGHT = 0.8, 0.9, 0.6
#: Density that is missing on the poorest land: of grass and of crops. It is this times a number of
#: the parcel, 0..1, to the power of `POOR_EXPONENT`: most land is fertilised.
POOR_GRASS, POOR_CROP, POOR_EXPONENT = 0.6, 0.9, 3
#: Grassed margins of the other fields, pixels.
MARGIN_PX = 0.35
#: Contrast of the rows of machines within crops, and radians per pixel across the field.
ROW_CONTRAST, ROW_FREQUENCY = 0.02, 2.1
#: Permanent crops: fraction of vineyards by dryness; variation of the density by pixel and coarse.
VINE_BELOW, ORCHARD_NOISE, ORCHARD_COARSE = 0.5, 0.32, 0.15

#: Herbaceous vegetation: variation of the density and brightness by coarse and fine texture; bushes
#: where the fine and coarse texture together are above `BUSH_ABOVE`.
HERBACEOUS_COARSE, HERBACEOUS_FINE, HERBACEOUS_LIGHT, BUSH_ABOVE = 0.26, 0.27, 0.13, 1.6
#: Tracks in forest and scrub: half width, pixels; density of the plants; fraction of the parcels
#: without.
WOOD_TRACK_PX, WOOD_TRACK_DENSITY, NO_WOOD_TRACK_BELOW = 0.45, 0.85, 0.88

#: Bare land is sand where dryness plus `SAND_TEXTURE` times coarse texture is above `SAND_ABOVE`.
SAND_TEXTURE, SAND_ABOVE = 0.1, 0.75
#: Density of its sparse vegetation; variation of its brightness.
BARE_DENSITY = 0.25
BARE_REGION, BARE_COARSE, BARE_FINE = 0.08, 0.12, 0.08


def _set_water(surface: Surface, where: Mask, layers: Layers) -> None:
    surface.material[where] = Material.DITCH
    surface.brightness[where] = 1
    surface.density[where] = 0


def _set_forest(surface: Surface, where: Mask, layers: Layers) -> None:
    stands = layers.stands
    own = STAND_OWN * (stands.number(StandAttribute.CONIFER) - np.float32(0.5))
    mixture = stands.spread(layers.at_parcels(STANDS, stands) + own)
    mixture += (layers.latitude - CONIFER_LATITUDE) / CONIFER_RANGE
    conifers = (mixture > CONIFER_ABOVE) ^ (layers.coarse_texture > MIXED_ABOVE)
    conifers &= where & (layers.latitude > CONIFER_MIN_LATITUDE)
    surface.vegetation[where] = Vegetation.BROADLEAF
    surface.vegetation[conifers] = Vegetation.CONIFER
    surface.material[where] = Material.LITTER
    surface.unit[where] = layers.unit_numbers("stands")[where]
    tone = stands.spread(
        FOREST_TONE + FOREST_STAND * (stands.number(StandAttribute.TONE) - np.float32(0.5))
    )
    tone += np.float32(FOREST_COARSE) * layers.coarse_texture
    tone += np.float32(FOREST_FINE) * layers.fine_texture
    surface.tone[where] = tone[where]
    surface.height[where] = CROWN_HEIGHT_PX * layers.white[where]
    _set_track(surface, where & (layers.fields.road_px < WOOD_TRACK_PX), layers)


def _set_track(surface: Surface, where: Mask, layers: Layers) -> None:
    where = where & (layers.fields.random(FieldAttribute.TRACK) > NO_WOOD_TRACK_BELOW)
    surface.material[where] = Material.GRAVEL
    surface.vegetation[where] = Vegetation.WEEDS
    surface.density[where] = WOOD_TRACK_DENSITY
    surface.brightness[where] *= TRACK_BRIGHTNESS


def _set_edges(surface: Surface, where: Mask, layers: Layers) -> None:
    """Draw tracks, ditches, rows of trees and margins along the edges of fields, farmsteads."""
    parcels = layers.fields
    own = parcels.random(FieldAttribute.EDGE)
    margin = where & (parcels.edge_px < MARGIN_PX)
    surface.vegetation[margin] = Vegetation.WEEDS
    surface.material[margin] = Material.SOIL
    flat = layers.steepness < DITCH_STEEPNESS
    ditch = where & flat & (own > DITCH_ABOVE) & (parcels.edge_px < DITCH_PX)
    surface.material[ditch] = Material.DITCH
    surface.density[ditch] = 0.6
    trees = where & (own > TREES_ABOVE) & ~ditch & (parcels.edge_px < TREES_PX)
    surface.vegetation[trees] = Vegetation.BROADLEAF
    surface.material[trees] = Material.LITTER
    surface.height[trees] = TREES_HEIGHT
    track = where & (parcels.road_px < TRACK_PX)
    track &= parcels.random(FieldAttribute.TRACK) > NO_TRACK_BELOW
    grassed = own < GRASSED_BELOW
    surface.height[track] = 0
    surface.material[track] = Material.GRAVEL
    surface.vegetation[track] = Vegetation.WEEDS
    surface.density[track] = np.where(grassed, TRACK_DENSITY, OPEN_TRACK_DENSITY)[track]
    surface.brightness[track] *= TRACK_BRIGHTNESS
    add_farmsteads(surface, where, layers)


def _set_annual_crop(surface: Surface, where: Mask, layers: Layers) -> None:
    surface.vegetation[where] = Vegetation.CROP
    surface.material[where] = Material.TILLED
    rows = ROW_CONTRAST * np.sin(layers.fields.across * ROW_FREQUENCY)
    surface.tone[where] += rows[where]
    poor = POOR_CROP * layers.fields.number(FieldAttribute.FERTILITY) ** POOR_EXPONENT
    surface.density[where] *= layers.fields.spread(1 - poor)[where]
    _set_edges(surface, where, layers)


def _set_pasture(surface: Surface, where: Mask, layers: Layers) -> None:
    surface.vegetation[where] = Vegetation.MEADOW
    poor = POOR_GRASS * layers.fields.number(FieldAttribute.FERTILITY) ** POOR_EXPONENT
    surface.density[where] *= layers.fields.spread(1 - poor)[where]
    _set_edges(surface, where, layers)


def _set_permanent_crop(surface: Surface, where: Mask, layers: Layers) -> None:
    vine = layers.fields.random(FieldAttribute.VINE) < VINE_BELOW + layers.dryness
    surface.vegetation[where] = np.where(vine, Vegetation.VINE, Vegetation.ORCHARD)[where]
    # Rows are a fraction of a pixel apart; what remains is noise and uneven growth.
    density = 1 + ORCHARD_NOISE * layers.fine_texture + ORCHARD_COARSE * layers.coarse_texture
    surface.density[where] *= np.maximum(density, 0.1)[where]
    _set_edges(surface, where, layers)


def _set_herbaceous(surface: Surface, where: Mask, layers: Layers) -> None:
    coarse, fine = layers.coarse_texture, layers.fine_texture
    surface.vegetation[where] = Vegetation.SHRUB
    density = 1 + HERBACEOUS_COARSE * coarse + HERBACEOUS_FINE * fine
    surface.density[where] *= np.maximum(density, 0.1)[where]
    surface.brightness[where] += HERBACEOUS_LIGHT * fine[where]
    bush = where & (fine + coarse > BUSH_ABOVE)
    surface.vegetation[bush] = Vegetation.BROADLEAF
    _set_track(surface, where & (layers.fields.road_px < WOOD_TRACK_PX), layers)


def _set_bare(surface: Surface, where: Mask, layers: Layers) -> None:
    sandy = layers.dryness + SAND_TEXTURE * layers.coarse_texture > SAND_ABOVE
    surface.material[where] = np.where(sandy, Material.SAND, Material.SOIL)[where]
    surface.vegetation[where] = Vegetation.WEEDS
    surface.density[where] = BARE_DENSITY
    brightness = 1 + BARE_REGION * layers.region + BARE_COARSE * layers.coarse_texture
    surface.brightness[where] = (brightness + BARE_FINE * layers.fine_texture)[where]


RURAL: dict[Cover, SetSurface] = {
    Cover.SEA: _set_water,
    Cover.LAKE: _set_water,
    Cover.RIVER: _set_water,
    Cover.FOREST: _set_forest,
    Cover.ANNUAL_CROP: _set_annual_crop,
    Cover.PASTURE: _set_pasture,
    Cover.PERMANENT_CROP: _set_permanent_crop,
    Cover.HERBACEOUS: _set_herbaceous,
    Cover.BARE: _set_bare,
}
