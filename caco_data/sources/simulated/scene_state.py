"""State of surface and atmosphere in a scene: vegetation of the day, light, snow, clouds, haze."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from caco_data.sources.simulated.conditions import Conditions
from caco_data.sources.simulated.ground import Ground
from caco_data.sources.simulated.land_cover import Cover
from caco_data.sources.simulated.noise import Field, derive_seed, mix, smooth, uniform
from caco_data.sources.simulated.salts import SceneSalt
from caco_data.sources.simulated.spectra import DAYS, Vegetation, vegetation_cover
from caco_data.sources.simulated.surface import Surface
from caco_data.sources.simulated.weather import cloud_thickness, haze

#: Damping of the illumination of slopes: light from the sky and from opposite slopes also reaches
#: those that face away from the sun.
SLOPE_DAMPING = 1.25
#: Fraction of the light that comes from the sun; the rest comes from the sky, also in shadows.
DIRECT_LIGHT = 0.72

#: Range of sowing dates between fields, its mean, and its variation by the year's weather, days.
SOWING_RANGE_DAYS, SOWING_MEAN_DAYS, WEATHER_DAYS = 34, 17, 9
#: Phase of the weather's variation from year to year, radians per year.
WEATHER_RATE = 2.4
#: Fields with a random number above this have another crop in odd years.
ROTATION_ABOVE = 0.15
#: Vegetation is temperate above the first latitude, and tropical below the first minus the second,
#: degrees.
TROPICS_LATITUDE, TROPICS_TRANSITION = 26, 14

#: Soil: mean brightness, its amplitude over the seasons, its range between scenes.
SOIL_BRIGHTNESS, SOIL_SEASON, SOIL_MOISTURE = 0.9, 0.1, 0.1
#: Days after which the tillage of fields changes; range of brightness between tilled fields.
TILLAGE_DAYS, TILLAGE_CONTRAST = 75, 0.8
#: Pseudo-random tillage: minimum factors of the two random numbers of a field, and number of values
#: that are added to each factor, by epoch.
_TILLAGE_PHASE, _TILLAGE_ROTATION, _TILLAGE_VALUES = 37, 53, 64

#: Snow index: increases by one per `SNOW_RANGE` degrees above `SNOW_LATITUDE` and by `SNOW_WINTER`
#: in winter, minus `SNOW_ABOVE`; `SNOW_SPELL` is its standard deviation between scenes.
SNOW_LATITUDE, SNOW_RANGE, SNOW_WINTER, SNOW_ABOVE, SNOW_SPELL = 58, 9, 1.9, 1.75, 0.5
#: Snow cover: per unit of the index, variation by texture, maximum.
SNOW_RATE, SNOW_TEXTURE, SNOW_MAX = 3, 0.12, 0.97
#: Fraction of the snow cover seen in forest and towns, and elsewhere.
SNOW_OBSCURED, SNOW_OPEN = 0.12, 0.8
SNOW_FREE = (Cover.SEA, Cover.RIVER, Cover.HIGHWAY)
SNOW_HIDDEN = (Cover.FOREST, Cover.RESIDENTIAL, Cover.INDUSTRIAL)

#: Opacity of a cloud of thickness t is 1 - exp(-`EXTINCTION` t).
EXTINCTION = 3.5
#: Height of clouds, and maximum distance of their shadows, pixels.
CLOUD_HEIGHT_PX, SHADOW_MAX_PX = 34, 90
#: Distance of shadows relative to the one that follows from the height and the sun.
SHADOW_FACTOR = 0.7


@dataclass(frozen=True)
class SceneState:
    """Fields from which the bands of a scene are computed, shape (H, W)."""

    surface: Surface
    vegetation: Field
    """Vegetation cover, 0..1."""
    light: Field
    """Illumination relative to flat ground under a clear sky."""
    snow: Field | None
    """Snow cover, 0..1; None where there is none."""
    cloud: Field | None
    """Opacity of clouds, 0..1; None when there is no cloud near enough to cast a shadow."""
    shadow: Field | None
    """Fraction of the direct light that clouds block, 0..1; None if `cloud` is None."""
    haze: Field
    """Path radiance in red, DN."""
    soil: Field
    """Factor on the bare material's reflectance, by brightness, moisture and tillage."""


def scene_state(ground: Ground, conditions: Conditions) -> SceneState:
    """Compute the state of the ground and the atmosphere above it in a scene."""
    surface = ground.surface_on(conditions.day)
    cloud, shadow = _clouds(ground, conditions)
    return SceneState(
        surface,
        vegetation=_vegetation(ground, surface, conditions),
        light=_light(ground, conditions, shadow),
        snow=_snow(ground, surface, conditions),
        cloud=cloud,
        shadow=shadow,
        haze=haze(conditions.key, *ground.frame.box),
        soil=_soil(ground, surface, conditions),
    )


def _light(ground: Ground, conditions: Conditions, shadow: Field | None) -> Field:
    """Illumination; the contrast between slopes increases as the sun's elevation decreases."""
    elevation, azimuth = conditions.sun
    facing = -(ground.slope_east * np.float32(math.sin(azimuth)))
    facing += ground.slope_south * np.float32(math.cos(azimuth))
    facing *= np.float32(1 / math.tan(elevation))
    light = 1 + facing / (1 + np.float32(SLOPE_DAMPING) * np.abs(facing))
    if shadow is not None:
        light *= 1 - np.float32(DIRECT_LIGHT) * shadow
    return np.asarray(light)


def _vegetation(ground: Ground, surface: Surface, conditions: Conditions) -> Field:
    """Vegetation cover on the day, 0..1."""
    temperate, tropical = vegetation_cover()
    year = conditions.growing_year
    weather = WEATHER_DAYS * math.sin(WEATHER_RATE * year)
    types = surface.vegetation
    if int(year) % 2:
        # Each of the three crops is replaced by the next one, and fallow by the second crop.
        first, last = int(Vegetation.WINTER_CROP), int(Vegetation.FALLOW)
        rotates = (ground.rotation > ROTATION_ABOVE) & (types >= first) & (types <= last)
        types = np.where(rotates, first + (types - first + 1) % (last - first), types)
    offset = np.float32(conditions.northern_day - SOWING_MEAN_DAYS + weather)
    shift = ground.phase * np.float32(SOWING_RANGE_DAYS) + offset
    index = np.clip(shift, 0, DAYS - 1).astype(np.intp) + types.astype(np.intp) * DAYS
    seasonal = temperate.ravel().take(index)
    latitude = ground.frame.abs_latitude
    tropics = np.clip((TROPICS_LATITUDE - latitude) / TROPICS_TRANSITION, 0, 1)  # (H, 1)
    if tropics.max() > 0:
        seasonal += tropics.astype(np.float32) * (tropical.ravel().take(index) - seasonal)
    return np.asarray(np.clip(seasonal * surface.density, 0, 1))


def _soil(ground: Ground, surface: Surface, conditions: Conditions) -> Field:
    """Factor on bare ground: darker in wet seasons; tillage makes fields differ."""
    moisture = float(uniform(conditions.key, SceneSalt.SOIL_MOISTURE) - 0.5)
    wet = SOIL_BRIGHTNESS + SOIL_SEASON * conditions.season + SOIL_MOISTURE * moisture
    # One pseudo-random number per field and epoch, from the two of the field and the epoch's hash.
    epoch = mix(SceneSalt.TILLAGE, conditions.day // TILLAGE_DAYS)
    phase = _TILLAGE_PHASE + int(epoch % _TILLAGE_VALUES)
    rotation = _TILLAGE_ROTATION + int((epoch >> 8) % _TILLAGE_VALUES)
    turn = ground.phase * np.float32(phase)
    turn += ground.rotation * np.float32(rotation)
    tilled = np.float32(TILLAGE_CONTRAST) * (turn - np.floor(turn) - np.float32(0.5))
    types = surface.vegetation
    arable = (types >= Vegetation.WINTER_CROP) & (types <= Vegetation.FALLOW)
    return np.asarray((1 + tilled * arable) * surface.brightness * np.float32(wet))


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


def _clouds(ground: Ground, conditions: Conditions) -> tuple[Field, Field] | tuple[None, None]:
    """Opacity of clouds, and of the clouds between each pixel and the sun."""
    elevation, azimuth = conditions.sun
    x0, y0, width, height = ground.frame.box
    reach = round(min(CLOUD_HEIGHT_PX / math.tan(elevation) * SHADOW_FACTOR, SHADOW_MAX_PX))
    dx, dy = round(reach * math.sin(azimuth)), round(-reach * math.cos(azimuth))
    m = max(abs(dx), abs(dy))
    thick = cloud_thickness(
        conditions.key, conditions.cloud_cover, x0 - m, y0 - m, width + 2 * m, height + 2 * m
    )
    if thick is None:
        return None, None
    opacity = 1 - np.exp(np.float32(-EXTINCTION) * thick)
    above = opacity[m : m + height, m : m + width]
    towards_sun = opacity[m + dy : m + dy + height, m + dx : m + dx + width]
    return above, towards_sun * (1 - above)
