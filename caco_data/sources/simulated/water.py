"""Colour of water by place and date: turbidity, algae, floods, glint, wind, draw-down rims."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from caco_data.sources.simulated.frame import FractalNoise, Frame
from caco_data.sources.simulated.land_cover import Cover
from caco_data.sources.simulated.noise import Field, derive_seed, normal, stepped, white
from caco_data.sources.simulated.salts import SceneSalt, WorldSalt

Index = NDArray[np.intp]
Values = NDArray[np.float32]

# fmt: off
#: DN of clear deep water, and what sediment, algae and pale shallow ground add to it at a
#: concentration of 1, bands as in ALL_BANDS (after Bowers and Binding, 2006, and measurements of
#: one reservoir: 150/204/71 in B2/B3/B4 in September, 816/1,269/1,496 after a flood).
_DEEP =     (190, 170, 150, 70, 75, 80, 80, 78, 75, 65, 45, 35)
_SEDIMENT = (420, 560, 1050, 1250, 1200, 800, 760, 620, 520, 320, 40, 20)
_ALGAE =    (10, 40, 260, 90, 240, 110, 100, 80, 70, 40, 0, 0)
_SHALLOW =  (420, 520, 480, 130, 60, 20, 15, 10, 5, 0, 0, 0)
#: DN of the ground that the water leaves bare.
_RIM =      (600, 760, 1100, 1400, 1550, 1650, 1720, 1800, 1880, 1900, 2200, 1900)
# fmt: on

#: Logarithm of the concentration of sediment by class: mean, and standard deviation between dates;
#: standard deviation between places; greatest concentration.
SEDIMENT_LOG = {Cover.SEA: -3.1, Cover.LAKE: -2.5, Cover.RIVER: -1.3}
DATE_LOG = {Cover.SEA: 1.1, Cover.LAKE: 1.9, Cover.RIVER: 1.7}
PLACE, MOST_SEDIMENT = 0.7, 1.25
TURBIDITY = FractalNoise(WorldSalt.WATER_TURBIDITY, (1400, 300, 70, 20), 0.6)
#: Days over which the weather of the water persists; scale and step of its variation, pixels.
EPOCH_DAYS, WEATHER_SCALE_PX, WEATHER_STEP_PX = 24, 1500, 4
#: Floods: fraction of the epochs, and increase of the logarithm in rivers, lakes, and the sea.
FLOODS, FLOOD_LOG = 0.12, {Cover.SEA: 0.4, Cover.LAKE: 1.4, Cover.RIVER: 1.7}
FLOOD_ABOVE = NormalDist().inv_cdf(1 - FLOODS)
#: Algae and shallow ground: standard deviations of the concentration between places; increase of
#: algae in summer.
COLOUR = FractalNoise(WorldSalt.WATER_COLOUR, (1900, 420), 0.7)
ALGAE_PLACE, SHALLOW_PLACE, ALGAE_SUMMER = 0.6, 0.4, 0.2
#: Sun glint: DN at a wind of 1, and the fraction of it that varies from pixel to pixel.
GLINT_DN, WAVES = 90.0, 0.12
#: Draw-down of lakes: greatest width of the bare rim, pixels.
RIM_PX = 5.0

_SPECTRA = np.array([_DEEP, _SEDIMENT, _ALGAE, _SHALLOW, _RIM], dtype=np.float32)


@dataclass(frozen=True)
class Water:
    """The water of a scene; arrays of its M pixels."""

    index: Index
    """Flat position of each pixel in the frame."""
    sediment: Values
    algae: Values
    shallow: Values
    glint: Values
    """DN, the same in every band."""
    rim: Values
    """Fraction that is bare ground, 0..1."""

    def band(self, row: int) -> Values:
        """Return the reflectance in a band, DN, (M,)."""
        deep, sediment, algae, shallow, rim = _SPECTRA[:, row]
        values = deep + sediment * self.sediment + algae * self.algae
        values += shallow * self.shallow + self.glint
        values += self.rim * (rim - values)
        return np.asarray(values)


@dataclass(frozen=True)
class WaterPlaces:
    """How water differs from place to place; fields of shape (H, W)."""

    turbidity: Field
    """Unit variance."""
    colour: Field
    """Unit variance."""
    plume: Field | None
    """Share of river water in the sea, 0..1; None if there is none."""


def water_places(frame: Frame, plume: Field | None) -> WaterPlaces:
    """Compute how water differs from place to place, given the plumes of rivers in the sea."""
    return WaterPlaces(frame.fractal(TURBIDITY), frame.fractal(COLOUR), plume)


def _weather(frame: Frame, epoch: int) -> Field:
    """Return the weather of the water in an epoch, unit variance, (H, W)."""
    seed = derive_seed(frame.seed, SceneSalt.WATER, epoch)
    return stepped(seed, *frame.box, (WEATHER_SCALE_PX,), 1, WEATHER_STEP_PX)


def water_of(
    frame: Frame, index: Index, cover: NDArray[np.uint8], shore_px: Values,
    places: WaterPlaces, key: int, day: int, season: float,
) -> Water:  # fmt: skip
    """Return the state of the water on a day.

    Parameters
    ----------
    frame : Frame
    index : ndarray of intp, shape (M,)
        Flat positions of the pixels with water.
    cover : ndarray of uint8, shape (M,)
        Their classes.
    shore_px : ndarray of float32, shape (M,)
        Their distance from the shore, pixels.
    places : WaterPlaces
    key : int
        Seed of the scene.
    day : int
        Days from 2015-07-01.
    season : float
        1 in midsummer, -1 in midwinter.
    """

    def at_pixels(field: Field) -> Values:
        return field.ravel().take(index)

    epoch, rest = divmod(day, EPOCH_DAYS)
    fraction = rest / EPOCH_DAYS
    weather = sum(
        np.float32(weight)
        * at_pixels(_weather(frame, e))
        for e, weight in ((epoch, 1 - fraction), (epoch + 1, fraction))
    ) / np.float32((fraction**2 + (1 - fraction) ** 2) ** 0.5)  # fmt: skip
    kinds = len(Cover)
    log, date, flood = (np.zeros(kinds, np.float32) for _ in range(3))
    for kind, value in SEDIMENT_LOG.items():
        log[kind], date[kind], flood[kind] = value, DATE_LOG[kind], FLOOD_LOG[kind]
    rises = float(normal(frame.seed, SceneSalt.FLOOD, epoch)) > FLOOD_ABOVE
    log += flood * rises
    colour = at_pixels(places.colour)

    def by_class(table: Field) -> Values:
        values = table.take(cover)
        if places.plume is not None:
            river_water = at_pixels(places.plume) * (cover == Cover.SEA)
            values += river_water * (table[Cover.RIVER] - values)
        return values

    sediment = np.exp(
        by_class(log) + PLACE * at_pixels(places.turbidity) + by_class(date) * weather
    )
    wind = max(float(normal(key, SceneSalt.GLINT)), -1.0)
    glint = max(wind, 0.0) ** 2 * GLINT_DN
    waves = at_pixels(white(derive_seed(key, SceneSalt.GLINT), *frame.box))
    level = np.clip(0.2 + 0.25 * season + 0.3 * weather, 0, 1) * (cover == Cover.LAKE)
    return Water(
        index,
        sediment=np.minimum(sediment, MOST_SEDIMENT).astype(np.float32),
        algae=np.maximum(ALGAE_PLACE * colour + ALGAE_SUMMER * season, 0).astype(np.float32),
        shallow=np.maximum(-SHALLOW_PLACE * colour - 0.1, 0).astype(np.float32),
        glint=(glint + (5 + WAVES * glint) * waves).astype(np.float32),
        rim=np.clip(RIM_PX * level - shore_px, 0, 1).astype(np.float32),
    )
