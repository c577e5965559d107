"""Surfaces of water, forest, farmland and open land."""

from __future__ import annotations

import numpy as np

from caco_data.sources.simulated.frame import FractalNoise, Mask
from caco_data.sources.simulated.land_cover import Cover
from caco_data.sources.simulated.layers import Layers
from caco_data.sources.simulated.parcels import FieldAttribute
from caco_data.sources.simulated.salts import WorldSalt
from caco_data.sources.simulated.spectra import Material, Vegetation
from caco_data.sources.simulated.surface import SetSurface, Surface

#: Brightness of water: variation by region and by coarse texture, standard deviations.
WATER_REGION, WATER_TEXTURE = 0.1, 0.05

#: Forest stands: field, and weight of the parcel's random number.
STANDS = FractalNoise(WorldSalt.FOREST_STANDS, (700, 160), 0.8)
STAND_PARCEL = 0.6
#: Conifers grow where the stand's value plus (latitude - `CONIFER_LATITUDE`) / `CONIFER_RANGE`, in
#: degrees, is above `CONIFER_ABOVE`; nowhere below the latitude `CONIFER_MIN_LATITUDE`.
CONIFER_LATITUDE, CONIFER_RANGE, CONIFER_ABOVE, CONIFER_MIN_LATITUDE = 49, 9, 0.35, 18
#: Tone of forest: mean; weight of the stand's value and limit of that value; weights of coarse and
#: of fine texture (the crowns).
FOREST_TONE, FOREST_STAND, FOREST_STAND_MAX = 0.95, 0.1, 2
FOREST_COARSE, FOREST_FINE = 0.04, 0.11

#: Crops by the field's random number: cumulative fractions of the first three; the rest is fallow.
CROPS = (Vegetation.WINTER_CROP, Vegetation.SUMMER_CROP, Vegetation.EARLY_CROP, Vegetation.FALLOW)
CROP_FRACTIONS = (0.42, 0.76, 0.9)
#: Tractor tracks: amplitude of the brightness, and radians per pixel across the field.
TRACK_CONTRAST, TRACK_FREQUENCY = 0.03, 2.1
#: Distance from the edge of a field within which there are hedges or farm tracks, pixels; limits of
#: the field's random number for fields with hedges and with farm tracks.
CROP_HEDGE_PX, CROP_HEDGE_ABOVE = 0.8, 0.35
FARM_TRACK_PX, FARM_TRACK_BELOW = 0.7, 0.14
PASTURE_HEDGE_PX = 0.9

#: Orchards: spacing of the rows in pixels, variation of the density across rows and by pixel.
ORCHARD_ROW_PX, ORCHARD_ROW, ORCHARD_NOISE = 3.3, 0.3, 0.1

#: Herbaceous vegetation: variation of the density by coarse and by fine texture.
HERBACEOUS_COARSE, HERBACEOUS_FINE = 0.22, 0.1

#: Bare land is sand where dryness plus `SAND_TEXTURE` times coarse texture is above `SAND_ABOVE`.
SAND_TEXTURE, SAND_ABOVE = 0.1, 0.75
#: Density of its sparse vegetation; variation of its brightness.
BARE_DENSITY = 0.2
BARE_REGION, BARE_COARSE, BARE_FINE = 0.08, 0.08, 0.04


def _set_water(surface: Surface, where: Mask, layers: Layers) -> None:
    surface.material[where] = Material.DEEP_WATER
    surface.material[where & (surface.cover == Cover.RIVER)] = Material.TURBID_WATER
    brightness = 1 + WATER_REGION * layers.region + WATER_TEXTURE * layers.coarse_texture
    surface.brightness[where] = brightness[where]
    surface.density[where] = 0


def _set_forest(surface: Surface, where: Mask, layers: Layers) -> None:
    own = STAND_PARCEL * (layers.fields.random(FieldAttribute.STAND) - 0.5)
    stands = layers.frame.fractal(STANDS) + own
    northern = stands + (layers.latitude - CONIFER_LATITUDE) / CONIFER_RANGE > CONIFER_ABOVE
    conifers = where & northern & (layers.latitude > CONIFER_MIN_LATITUDE)
    surface.vegetation[where] = Vegetation.BROADLEAF
    surface.vegetation[conifers] = Vegetation.CONIFER
    surface.material[where] = Material.LITTER
    tone = FOREST_TONE + FOREST_STAND * np.clip(stands, -FOREST_STAND_MAX, FOREST_STAND_MAX)
    tone = tone + FOREST_COARSE * layers.coarse_texture + FOREST_FINE * layers.fine_texture
    surface.tone[where] = tone[where]


def _set_annual_crop(surface: Surface, where: Mask, layers: Layers) -> None:
    crop, edge_px = layers.fields.random(FieldAttribute.CROP), layers.fields.edge_px
    surface.vegetation[where] = np.array(CROPS)[np.digitize(crop, CROP_FRACTIONS)][where]
    tracks = TRACK_CONTRAST * np.sin(layers.fields.across * TRACK_FREQUENCY)
    surface.brightness[where] += tracks[where]
    hedge = where & (edge_px < CROP_HEDGE_PX) & (crop > CROP_HEDGE_ABOVE)
    surface.vegetation[hedge] = Vegetation.MEADOW
    farm_track = where & (edge_px < FARM_TRACK_PX) & (crop < FARM_TRACK_BELOW)
    surface.vegetation[farm_track] = Vegetation.FALLOW
    surface.material[farm_track] = Material.LIGHT_SOIL


def _set_pasture(surface: Surface, where: Mask, layers: Layers) -> None:
    surface.vegetation[where] = Vegetation.MEADOW
    hedge = where & (layers.fields.edge_px < PASTURE_HEDGE_PX)
    surface.vegetation[hedge] = Vegetation.BROADLEAF


def _set_permanent_crop(surface: Surface, where: Mask, layers: Layers) -> None:
    surface.vegetation[where] = Vegetation.ORCHARD
    rows = np.sin(layers.fields.along * (2 * np.pi / ORCHARD_ROW_PX))
    density = 1 + ORCHARD_ROW * rows + ORCHARD_NOISE * layers.pixel_noise
    surface.density[where] *= density[where]


def _set_herbaceous(surface: Surface, where: Mask, layers: Layers) -> None:
    surface.vegetation[where] = Vegetation.SHRUB
    coarse = HERBACEOUS_COARSE * layers.coarse_texture
    surface.density[where] *= (1 + coarse + HERBACEOUS_FINE * layers.fine_texture)[where]


def _set_bare(surface: Surface, where: Mask, layers: Layers) -> None:
    sandy = layers.dryness + SAND_TEXTURE * layers.coarse_texture > SAND_ABOVE
    surface.material[where] = np.where(sandy, Material.SAND, Material.LIGHT_SOIL)[where]
    surface.vegetation[where] = Vegetation.FALLOW
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
