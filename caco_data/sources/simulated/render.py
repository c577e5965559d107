"""What a scene shows of the ground: plants of the day, light, air, clouds, the sensor."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from caco_data.sentinel2 import ALL_BANDS, BAND_PIXEL_M, PIXEL_M
from caco_data.world.geodesy import LATITUDE_DEGREE_MEAN_M

from .ground import MARGIN_PX, Ground
from .land_cover import Cover
from .noise import Field, mix, smooth, uniform, white
from .spectra import CANOPIES, CLOUD, DAYS, MATERIALS, SNOW, Material, Plants, growth
from .surface import Look
from .weather import cloud_thickness, day_of_year, haze, season

#: How much of the red path radiance each band gets: air scatters blue most.
_HAZE = dict(
    zip(ALL_BANDS, (1.7, 1.45, 1.15, 1.0, 0.9, 0.75, 0.68, 0.6, 0.58, 0.5, 0.2, 0.12), strict=True)
)
#: Noise of the sensor and its processing, DN.
_NOISE_DN = 9.0

#: Pixels from a cloud to its shadow, north-south and east-west, at the pass's morning sun.
_SHADOW_PX = 34

NODATA, DARK, SHADOW, PLANTS, GROUND, WATER, UNSURE, CLOUD_MEDIUM, CLOUD_HIGH, CIRRUS, ICE = (
    0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11,
)  # fmt: skip


@dataclass(frozen=True)
class View:
    """One scene's conditions."""

    key: int
    """Seed of its clouds and air."""
    day: int
    """Days from 2015-07-01."""
    latitude: float
    """Of the scene's middle, degrees."""
    cover: float
    """Share of clouds over the scene, 0..1."""

    @property
    def sun(self) -> tuple[float, float]:
        """Elevation and azimuth (clockwise from north) of the sun at 10:30, radians."""
        declination = math.radians(-23.44 * math.cos(2 * math.pi * (self._doy + 10) / 365.25))
        latitude, hour = math.radians(self.latitude), math.radians(-22.5)
        sine = math.sin(latitude) * math.sin(declination) + math.cos(latitude) * math.cos(
            declination
        ) * math.cos(hour)
        elevation = max(math.asin(sine), math.radians(8))
        azimuth = math.atan2(
            -math.cos(declination) * math.sin(hour),
            math.sin(declination) * math.cos(latitude)
            - math.cos(declination) * math.sin(latitude) * math.cos(hour),
        )
        return elevation, azimuth

    @property
    def _doy(self) -> float:
        return day_of_year(self.day)

    @property
    def northern_day(self) -> float:
        """Day of the year, shifted by half a year south of the equator."""
        return (self._doy + (183 if self.latitude < 0 else 0)) % 365


@dataclass(frozen=True)
class Scenery:
    """What a view shows before it is split into bands, fields of shape (H, W)."""

    look: Look
    plants: Field
    """Cover of plants, 0..1."""
    light: Field
    """Illumination relative to flat ground without clouds."""
    snow: Field | None
    """Cover of snow, 0..1; None where there is none."""
    cloud: Field | None
    """Opacity of clouds, 0..1; None when none is near, so that there is no shadow either."""
    shadow: Field | None
    """How much of the direct light clouds take, 0..1; None with `cloud`."""
    haze: Field
    """Path radiance in red, DN."""
    soil: Field
    """Factor on the bare material: its own brightness, wet or dry, ploughed or stubble."""


def look_of(ground: Ground, day: float) -> Look:
    """Look of the ground on a day: what has changed by then has changed."""
    if ground.after is None:
        return ground.before
    done = ground.change_day <= day
    if not done.any():
        return ground.before
    before, after = ground.before, ground.after
    return Look(
        *(
            np.where(done, getattr(after, name), getattr(before, name))
            for name in ("cover", "material", "plants", "brightness", "density", "tone")
        )
    )


def scenery(ground: Ground, view: View) -> Scenery:
    """Compose a view of the ground."""
    look = look_of(ground, view.day)
    elevation, azimuth = view.sun
    # Slopes that face the sun are bright, the others dark, the more so the lower it stands.
    facing = -(ground.slope_east * np.float32(math.sin(azimuth)))
    facing += ground.slope_south * np.float32(math.cos(azimuth))
    facing *= np.float32(1 / math.tan(elevation))
    # The steeper, the less it adds: the sky and the slopes across light the dark ones.
    light = 1 + facing / (1 + np.float32(1.25) * np.abs(facing))
    cloud, shadow = _clouds(ground, view, elevation, azimuth)
    snow = _snow(ground, look, view)
    if shadow is not None:
        # A quarter of the light comes from the sky, and reaches what the sun does not.
        light *= 1 - np.float32(0.72) * shadow
    frame = ground.frame
    return Scenery(
        look,
        _plants(ground, look, view),
        light,
        snow,
        cloud,
        shadow,
        haze(view.key, *frame.box),
        _soil(ground, look, view),
    )


def _plants(ground: Ground, look: Look, view: View) -> Field:
    """Cover of plants on the day, 0..1."""
    temperate, tropical = growth()
    year = 2015 + (view.day + 181) // 365.25
    if view.latitude < 0:
        year += view.northern_day < 183  # the southern season runs over new year
    # Sowing shifts by up to three weeks a parcel, and by the year's weather.
    weather = 9 * math.sin(2.4 * year)
    kinds = look.plants
    if int(year) % 2:  # crops rotate: what stood here last year stands next door
        swap = (ground.rotation > 0.15) & (kinds >= 4) & (kinds <= 7)
        kinds = np.where(swap, 4 + (kinds - 3) % 3, kinds)
    shift = ground.phase * np.float32(34) + np.float32(view.northern_day - 17 + weather)
    index = np.clip(shift, 0, DAYS - 1).astype(np.intp) + kinds.astype(np.intp) * DAYS
    seasonal = temperate.ravel().take(index)
    rows = np.abs(ground.frame.coordinates()[1]) * (PIXEL_M / LATITUDE_DEGREE_MEAN_M)
    torrid = np.clip((26 - rows) / 14, 0, 1).astype(np.float32)  # (H, 1)
    if torrid.max() > 0:
        seasonal += torrid * (tropical.ravel().take(index) - seasonal)
    return np.asarray(np.clip(seasonal * look.density, 0, 1))


#: Farmers work a field about so often, days.
_TILLAGE_DAYS = 75


def _soil(ground: Ground, look: Look, view: View) -> Field:
    """Factor on bare ground: darker in wet seasons, and field by field what the plough left."""
    wet = (
        0.9
        + 0.1 * season(view.latitude, day_of_year(view.day))
        + 0.1 * float(uniform(view.key, 6) - 0.5)
    )
    # One pseudo-random draw a field and epoch, from its two draws and the epoch's whole numbers.
    epoch = mix(8, view.day // _TILLAGE_DAYS)
    turn = ground.phase * np.float32(37 + int(epoch % 64))
    turn += ground.rotation * np.float32(53 + int((epoch >> 8) % 64))
    tilled = np.float32(0.8) * (turn - np.floor(turn) - np.float32(0.5))
    arable = (look.plants >= Plants.WINTER_CROP) & (look.plants <= Plants.FALLOW)
    return np.asarray((1 + tilled * arable) * look.brightness * np.float32(wet))


def _snow(ground: Ground, look: Look, view: View) -> Field | None:
    """Cover of snow, 0..1: in the cold season of high latitudes, less in woods and towns."""
    winter = -season(view.latitude, day_of_year(view.day))
    spell = float(smooth(int(mix(view.key, 5)) >> 1, 0, 0, 1, 1, 3)[0, 0])
    depth = (abs(view.latitude) - 58) / 9 + 1.9 * winter - 1.75 + 0.5 * spell
    if depth <= 0:
        return None
    bare = np.isin(look.cover, (Cover.SEA, Cover.RIVER, Cover.HIGHWAY))
    thin = np.isin(look.cover, (Cover.FOREST, Cover.RESIDENTIAL, Cover.INDUSTRIAL))
    cover = np.clip(3 * depth + 0.12 * ground.patches, 0, 0.97) * np.where(thin, 0.12, 0.8)
    return np.where(bare, 0, cover).astype(np.float32)


def _clouds(
    ground: Ground, view: View, elevation: float, azimuth: float
) -> tuple[Field, Field] | tuple[None, None]:
    """Opacity of clouds, and of their shadows where the sun throws them."""
    x0, y0, width, height = ground.frame.box
    reach = round(min(_SHADOW_PX / math.tan(elevation) * 0.7, 90))
    dx, dy = round(reach * math.sin(azimuth)), round(-reach * math.cos(azimuth))
    m = max(abs(dx), abs(dy))
    thick = cloud_thickness(view.key, view.cover, x0 - m, y0 - m, width + 2 * m, height + 2 * m)
    if thick is None:
        return None, None
    opacity = 1 - np.exp(np.float32(-3.5) * thick)
    above = opacity[m : m + height, m : m + width]
    towards_sun = opacity[m + dy : m + dy + height, m + dx : m + dx + width]
    return above, towards_sun * (1 - above)


def band(ground: Ground, view: View, seen: Scenery, name: str) -> NDArray[np.uint16]:
    """DN of one band on the 10 m grid, (H, W), coarser bands constant over their pixels."""
    row = ALL_BANDS.index(name)
    look = seen.look
    dn = MATERIALS[row].take(look.material)
    dn *= seen.soil
    leaves = CANOPIES[row].take(look.plants)
    leaves *= look.tone
    leaves -= dn
    leaves *= seen.plants
    dn += leaves
    if seen.snow is not None:
        dn += (np.float32(SNOW[row]) - dn) * seen.snow
    dn *= seen.light
    dn += seen.haze * np.float32(_HAZE[name])
    if seen.cloud is not None:
        dn += (np.float32(CLOUD[row]) * (0.75 + 0.25 * seen.cloud) - dn) * seen.cloud
    dn = _blurred(dn)
    side = BAND_PIXEL_M[name] // PIXEL_M
    noise = white(int(mix(view.key, 31, row)) >> 1, *ground.frame.grown(-MARGIN_PX).box)
    dn += noise * (np.float32(_NOISE_DN) + np.float32(0.006) * dn)
    return np.rint(coarsen(np.clip(dn, 1, 16_000), side)).astype(np.uint16)


def _blurred(values: Field) -> Field:
    """Point spread of the optics, about a pixel wide; takes the margin off."""
    middle, side = np.float32(0.64), np.float32(0.18)
    wide = middle * values[1:-1] + side * (values[:-2] + values[2:])
    return np.asarray(middle * wide[:, 1:-1] + side * (wide[:, :-2] + wide[:, 2:]))


def coarsen(values: Field, side: int) -> Field:
    """Mean over blocks of `side` pixels, repeated; the grid lies on the blocks."""
    if side == 1:
        return values
    # Strided sums: `mean` would round by the shape, and grids that overlap would not agree.
    rows = sum((values[k::side] for k in range(1, side)), values[::side])
    blocks = sum((rows[:, k::side] for k in range(1, side)), rows[:, ::side]) / np.float32(side**2)
    return np.asarray(blocks.repeat(side, axis=0).repeat(side, axis=1))


def scl(ground: Ground, view: View, seen: Scenery) -> NDArray[np.uint16]:
    """Scene classes on the 10 m grid, constant over 20 m, with the classifier's usual errors."""
    water = np.isin(seen.look.cover, (Cover.SEA, Cover.LAKE, Cover.RIVER))
    classes = np.where(seen.plants > 0.42, PLANTS, GROUND)
    classes[seen.light < 0.45] = DARK
    classes[water] = WATER
    if seen.snow is not None:
        classes[seen.snow > 0.5] = ICE
    # The brightest roofs are sometimes taken for cloud, and thin cloud is often missed.
    white = (seen.look.material == Material.WHITE_ROOF) & (seen.look.brightness > 1.22)
    classes[white] = CLOUD_MEDIUM
    if seen.cloud is not None and seen.shadow is not None:
        classes[seen.shadow > 0.35] = SHADOW
        classes[seen.cloud > 0.12] = CIRRUS if int(mix(view.key, 41)) % 3 == 0 else UNSURE
        classes[seen.cloud > 0.28] = CLOUD_MEDIUM
        classes[seen.cloud > 0.6] = CLOUD_HIGH
    m = MARGIN_PX
    corner = classes[m:-m:2, m:-m:2].astype(np.uint16)
    return corner.repeat(2, axis=0).repeat(2, axis=1)


def cloud_score(seen: Scenery) -> Field:
    """How clear the ground shows, (H, W), 0..1, as Cloud Score+ has it: no errors over roofs.

    A cloud that hides a fifth of the ground scores 0.6, and so does a shadow of a third.
    """
    inner = slice(MARGIN_PX, -MARGIN_PX)
    if seen.cloud is None or seen.shadow is None:
        return np.ones_like(seen.light[inner, inner])
    hidden = np.float32(2) * seen.cloud + np.float32(1.15) * seen.shadow
    return np.asarray(np.clip(1 - hidden[inner, inner], 0, 1))
