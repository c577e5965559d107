"""State of surface and atmosphere in a scene: vegetation of the day, light, snow, clouds, air."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from caco_data.sources.simulated.air import Air, air
from caco_data.sources.simulated.conditions import Conditions
from caco_data.sources.simulated.crops import CropState, crop_state
from caco_data.sources.simulated.ground import Ground, GrowingYear
from caco_data.sources.simulated.land_cover import Cover
from caco_data.sources.simulated.noise import Field, derive_seed, normal, smooth, uniform, white
from caco_data.sources.simulated.phenology import perennial_cover
from caco_data.sources.simulated.reflectance import Reflectance
from caco_data.sources.simulated.salts import SceneSalt
from caco_data.sources.simulated.spectra import Vegetation
from caco_data.sources.simulated.surface import Surface
from caco_data.sources.simulated.water import Water, water_of
from caco_data.sources.simulated.weather import (
    Clouds,
    cirrus,
    cloud_thickness,
    clouds,
    opacity_of,
)

#: Damping of the illumination of slopes: light from the sky and from opposite slopes also reaches
#: those that face away from the sun.
SLOPE_DAMPING = 1.25
#: Fraction of the light that comes from the sun; the rest comes from the sky, also in shadows.
DIRECT_LIGHT = 0.72

#: Vegetation is temperate above the first latitude, and tropical below the first minus the second,
#: degrees.
TROPICS_LATITUDE, TROPICS_TRANSITION = 26, 14

#: Unevenness of the growth: standard deviation of the cover, per unit of 4 V (1 - V) and constant.
UNEVEN_CROP, UNEVEN_OTHER, UNEVEN_MIN = 0.11, 0.1, 0.008
#: Effect of the growth on the vegetation's reflectance.
TONE_GROWTH = np.float32(0.018)

#: Soil: mean brightness, its amplitude over the seasons, its range between scenes: wet soils
#: reflect up to half less than dry ones (Lobell and Asner, 2002).
SOIL_BRIGHTNESS, SOIL_SEASON, SOIL_MOISTURE = 0.94, 0.06, 0.62

#: Differences between the units, relative standard deviations: of the canopies' brightness between
#: the edges of the swath and its middle; of canopies and soils from date to date.
VIEW_CANOPY, DATE_CANOPY, DATE_SOIL = 0.05, 0.045, 0.15
#: Standard deviation of the cover seen between the units from date to date, relative to V (1 - V):
#: of trees and shrubs, and of crops and grass, whose rows, wilting and mowing matter more.
GAPS_SEEN, GAPS_SEEN_LOW = 0.3, 1.1
LOW_PLANTS = (Vegetation.MEADOW, Vegetation.CROP, Vegetation.WEEDS)
#: Cars: relative change of the brightness of paved ground from date to date, uniform.
CARS = np.float32(0.15)

#: Snow index: increases by one per `SNOW_RANGE` degrees above `SNOW_LATITUDE` and by `SNOW_WINTER`
#: in winter, minus `SNOW_ABOVE`; `SNOW_SPELL` is its standard deviation between scenes.
SNOW_LATITUDE, SNOW_RANGE, SNOW_WINTER, SNOW_ABOVE, SNOW_SPELL = 58, 9, 1.9, 1.75, 0.5
#: Snow cover: per unit of the index, variation by texture, maximum.
SNOW_RATE, SNOW_TEXTURE, SNOW_MAX = 3, 0.12, 0.97
#: Fraction of the snow cover seen in forest and towns, and elsewhere.
SNOW_OBSCURED, SNOW_OPEN = 0.12, 0.8
SNOW_FREE = (Cover.SEA, Cover.RIVER, Cover.HIGHWAY)
SNOW_HIDDEN = (Cover.FOREST, Cover.RESIDENTIAL, Cover.INDUSTRIAL)

#: Height of clouds in pixels, minimum and range between scenes, and the maximum distance of their
#: shadows.
CLOUD_HEIGHT_PX, CLOUD_HEIGHT_RANGE_PX, SHADOW_MAX_PX = 50, 110, 120


@dataclass(frozen=True)
class SceneState:
    """Fields from which the bands of a scene are computed, shape (H, W)."""

    surface: Surface
    reflectance: Reflectance
    vegetation: Field
    """Vegetation cover, 0..1."""
    tone: Field
    """Factor on the vegetation's reflectance."""
    soil: Field
    """Factor on the reflectance of the ground."""
    light: Field
    """Illumination relative to flat ground under a clear sky."""
    snow: Field | None
    """Snow cover, 0..1; None where there is none."""
    clouds: Clouds | None
    """None when there is no cloud near enough to cast a shadow."""
    cirrus: Field | None
    """Opacity of a veil of cirrus, 0..1; None where there is none."""
    shadow: Field | None
    """Fraction of the direct light that clouds block, 0..1; None if `clouds` is None."""
    water: Water | None
    air: Air


def scene_state(ground: Ground, conditions: Conditions) -> SceneState:
    """Compute the state of the ground and the atmosphere above it in a scene."""
    surface = ground.surface_on(conditions.day)
    above, shadow = _clouds(ground, conditions)
    growing = ground.year(int(conditions.growing_year), conditions.warm_days, conditions.drought)
    crops = crop_state(growing.crops, conditions.northern_day)
    cover, uneven = _cover_by_unit(ground, growing, conditions, crops)
    vegetation = uneven.ravel().take(surface.vegetation_key)
    vegetation *= growing.growth
    vegetation += cover.ravel().take(surface.vegetation_key)
    vegetation *= surface.density
    np.clip(vegetation, 0, 0.99, out=vegetation)
    return SceneState(
        surface,
        Reflectance(ground.units, crops, growing.modes, *_anisotropy(ground, conditions)),
        vegetation=vegetation,
        tone=surface.tone + TONE_GROWTH * growing.growth,
        soil=_soil(ground, surface, conditions),
        light=_light(ground, conditions, shadow),
        snow=_snow(ground, surface, conditions),
        clouds=above,
        cirrus=cirrus(conditions.key, conditions.cloud_cover, *ground.frame.box),
        shadow=shadow,
        water=_water(ground, surface, conditions),
        air=air(conditions.key, conditions.orbit_side, ground.frame),
    )


def _anisotropy(ground: Ground, conditions: Conditions) -> tuple[Field, Field]:
    """Return the factors of the units' canopies and soils on the date, (N,).

    Canopies differ in how much their brightness depends on the direction of view, wind and
    turgor; soils dry at different rates.
    """
    ids = ground.units.ids
    canopy = VIEW_CANOPY * conditions.orbit_side * ground.units.stand
    canopy = canopy + DATE_CANOPY * normal(ids, SceneSalt.CANOPY, conditions.key)
    soil = DATE_SOIL * normal(ids, SceneSalt.SOIL, conditions.key)
    factors = ((1 + np.clip(part, -0.3, 0.3)).astype(np.float32) for part in (canopy, soil))
    of_canopy, of_soil = factors
    return of_canopy, of_soil


def _cover_by_unit(
    ground: Ground, growing: GrowingYear, conditions: Conditions, crops: CropState
) -> tuple[Field, Field]:
    """Return the vegetation cover and the size of its unevenness, (N, vegetation types)."""
    tropics = np.clip((TROPICS_LATITUDE - abs(conditions.latitude)) / TROPICS_TRANSITION, 0, 1)
    cover = perennial_cover(growing.perennials, conditions.northern_day, float(tropics))
    cover[:, Vegetation.CROP] = crops.cover
    # Gaps in the canopy are hidden or seen depending on the direction of view and on wilting.
    seen = np.full(len(Vegetation), GAPS_SEEN)
    seen[list(LOW_PLANTS)] = GAPS_SEEN_LOW
    gaps = normal(ground.units.ids, SceneSalt.GAPS, conditions.key)[:, None] * seen
    cover += (cover * (1 - cover)) * gaps.astype(np.float32)
    spread = 4 * cover * (1 - cover)
    spread *= UNEVEN_OTHER
    spread[:, Vegetation.CROP] *= UNEVEN_CROP / UNEVEN_OTHER * growing.uneven
    spread += UNEVEN_MIN * (cover > 0)
    return cover, spread


def _light(ground: Ground, conditions: Conditions, shadow: Field | None) -> Field:
    """Illumination; the contrast between slopes increases as the sun's elevation decreases."""
    elevation, azimuth = conditions.sun
    slope_east, slope_south = ground.slopes(conditions.day)
    facing = slope_east * np.float32(-math.sin(azimuth))
    facing += slope_south * np.float32(math.cos(azimuth))
    facing *= np.float32(1 / math.tan(elevation))
    damping = np.abs(facing)
    damping *= np.float32(SLOPE_DAMPING)
    damping += 1
    facing /= damping
    facing += 1
    if shadow is not None:
        facing *= 1 - np.float32(DIRECT_LIGHT) * shadow
    return facing


def _soil(ground: Ground, surface: Surface, conditions: Conditions) -> Field:
    """Factor on the ground: darker in wet seasons and after rain; cars on paved ground."""
    moisture = float(uniform(conditions.key, SceneSalt.SOIL_MOISTURE) - 0.5)
    wet = SOIL_BRIGHTNESS + SOIL_SEASON * conditions.season + SOIL_MOISTURE * moisture
    factor = surface.brightness * np.float32(wet)
    paved = surface.paved_index
    if paved.size:
        cars = white(derive_seed(conditions.key, SceneSalt.CARS), *ground.frame.box)
        factor.ravel()[paved] *= 1 + CARS * cars.ravel().take(paved)
    return factor


def _water(ground: Ground, surface: Surface, conditions: Conditions) -> Water | None:
    index = surface.water_index
    if not index.size:
        return None
    return water_of(
        ground.frame, index, surface.cover.ravel().take(index), ground.shore_px.ravel().take(index),
        ground.water_places, conditions.key, conditions.day, conditions.season,
    )  # fmt: skip


def _snow(ground: Ground, surface: Surface, conditions: Conditions) -> Field | None:
    """Snow cover, 0..1: in the cold season of high latitudes, less in forest and towns."""
    spell_seed = derive_seed(conditions.key, SceneSalt.SNOW_SPELL)
    spell = float(smooth(spell_seed, 0, 0, 1, 1, 3)[0, 0])  # one number per scene
    latitude = (abs(conditions.latitude) - SNOW_LATITUDE) / SNOW_RANGE
    depth = latitude + SNOW_WINTER * -conditions.season - SNOW_ABOVE + SNOW_SPELL * spell
    if depth <= 0:
        return None
    hidden = np.isin(surface.cover, SNOW_HIDDEN)
    cover = np.clip(SNOW_RATE * depth + SNOW_TEXTURE * ground.coarse_texture, 0, SNOW_MAX)
    cover = cover * np.where(hidden, SNOW_OBSCURED, SNOW_OPEN)
    return np.where(np.isin(surface.cover, SNOW_FREE), 0, cover).astype(np.float32)


def _clouds(ground: Ground, conditions: Conditions) -> tuple[Clouds, Field] | tuple[None, None]:
    """Clouds, and the opacity of the clouds between each pixel and the sun."""
    elevation, azimuth = conditions.sun
    key = conditions.key
    x0, y0, width, height = ground.frame.box
    clouds_px = CLOUD_HEIGHT_PX + CLOUD_HEIGHT_RANGE_PX * float(uniform(key, SceneSalt.CLOUD_KIND))
    reach = round(min(clouds_px / math.tan(elevation), SHADOW_MAX_PX))
    dx, dy = round(reach * math.sin(azimuth)), round(-reach * math.cos(azimuth))
    left, right, up, down = max(-dx, 0), max(dx, 0), max(-dy, 0), max(dy, 0)
    thick = cloud_thickness(
        key, conditions.cloud_cover, x0 - left, y0 - up, width + left + right, height + up + down
    )
    if thick is None or not thick.any():
        return None, None
    above = clouds(key, thick[up : up + height, left : left + width], x0, y0)
    sunward = thick[up + dy : up + dy + height, left + dx : left + dx + width]
    return above, opacity_of(sunward) * (1 - above.opacity)
