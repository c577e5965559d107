"""Vegetation cover of perennial plants over the year: trees, grass, shrubs, orchards, gardens.

Stands differ in leaf-out and leaf fall, later on high ground; meadows are mown or grazed, each on
its own dates; orchards and vineyards age and are planted again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from caco_data.sources.simulated.crops import logistic
from caco_data.sources.simulated.noise import Field, normal, uniform
from caco_data.sources.simulated.spectra import Vegetation
from caco_data.sources.simulated.units import Units

Floats = NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class Course:
    """The course of a perennial's cover; days of the northern year."""

    low: float
    """Cover in winter."""
    high: float
    """Cover in summer."""
    up: float
    """Day of half green-up."""
    rise: float
    """Duration of the green-up, days."""
    down: float
    """Day of half senescence."""
    fall: float
    """Duration of the senescence, days."""
    spread: float
    """Standard deviation of `up` and `down` between stands, days."""
    thirst: float
    """Fraction of the cover lost at the end of a dry summer."""


COURSES = {
    Vegetation.CONIFER: Course(0.84, 0.94, 110, 25, 300, 30, 10, 0.05),
    Vegetation.BROADLEAF: Course(0.22, 0.97, 119, 5, 297, 9, 7, 0.1),
    Vegetation.MEADOW: Course(0.66, 0.97, 84, 15, 318, 20, 7, 0.6),
    Vegetation.WEEDS: Course(0.45, 0.8, 95, 18, 240, 30, 12, 0.6),
    Vegetation.ORCHARD: Course(0.28, 0.62, 108, 9, 302, 12, 6, 0.15),
    Vegetation.VINE: Course(0.15, 0.55, 138, 10, 296, 10, 6, 0.15),
    Vegetation.SHRUB: Course(0.42, 0.66, 98, 20, 250, 30, 9, 0.4),
    Vegetation.GARDEN: Course(0.42, 0.78, 106, 14, 303, 14, 7, 0.25),
}
#: Types that are evergreen in the tropics; elsewhere there are two rainy seasons a year, from this
#: day on, between which this fraction of the cover remains.
EVERGREEN = (Vegetation.CONIFER, Vegetation.BROADLEAF, Vegetation.ORCHARD, Vegetation.GARDEN)
RAINS_DAY, DRY_SEASON_COVER, DAYS = 40, 0.3, 365
#: Delay of leaf-out by altitude, days per standard deviation of the height.
ALTITUDE_DAYS = 5.0
#: Standard deviation of a unit's cover from year to year, relative.
YEAR_COVER = 0.03
#: Middle of the dry season and its duration, days.
DRY_DAY, DRY_DAYS = 232.0, 45.0

#: Meadows: fraction that is mown; days between cuts, minimum and range; first cut, days, and its
#: range; fraction of the cover lost; days of regrowth; last day of mowing.
MOWN, CUT_DAYS, CUT_RANGE, FIRST_CUT, FIRST_RANGE = 0.6, 32.0, 30.0, 122.0, 45.0
CUT_LOSS, REGROWTH_DAYS, LAST_CUT = 0.26, 7.0, 290.0
#: Pastures: weeks after which the herd moves to another part, and fraction of the cover grazed.
GRAZING_DAYS, GRAZED, GRAZED_FROM, GRAZED_UNTIL = 24, 0.14, 90, 320
#: Greatest cover.
MAX_COVER = 0.985
#: Fraction of the meadows ploughed up and sown again in a year; days of the bare ground.
RESOWN, RESOWING, RESOWN_AFTER = 0.05, 245.0, 285.0
#: Orchards: years from planting to planting, minimum and range; cover in the first year relative to
#: full cover, and its increase per year.
LIFE_YEARS, LIFE_RANGE, YOUNG, GROWTH = 12, 16, 0.25, 0.17
#: Numbers hashed with a unit's name.
_YEAR, _MOWN, _EVERY, _FIRST, _HERD, _RESOWN, _LIFE, _PLANTED, _DOWN = range(61, 70)


@dataclass(frozen=True)
class PerennialYear:
    """What the perennials draw in a growing year; arrays of shape (N,), days of the northern year.

    `up` and `down` have the shape (types, N), in the order of `COURSES`.
    """

    up: Floats
    down: Floats
    weather: Floats
    """Factor on the cover."""
    thirst: Floats
    """Degree of the summer's drought, 0..1."""
    mown: Floats
    """1 for mown meadows, 0 for pastures."""
    every: Floats
    """Days between cuts."""
    first_cut: Floats
    resown: Floats
    """1 if the meadow is ploughed up and sown again."""
    herd: Field
    """Fraction grazed in each part of the year, (parts, N)."""
    age: Floats
    """Factor on the cover of orchards and vineyards."""


def perennial_year(units: Units, year: int, warm_days: float, drought: float) -> PerennialYear:
    """Draw the dates of a growing year.

    Parameters
    ----------
    units : Units
    year : int
    warm_days : float
        Days by which the year is earlier than average.
    drought : float
        Drought of the year's summer, 0..1.
    """
    ids, courses = units.ids, COURSES.values()
    late = units.late_days + ALTITUDE_DAYS * units.altitude - warm_days
    second = normal(ids, _DOWN)
    parts = np.arange(DAYS // GRAZING_DAYS + 2)[:, None]
    return PerennialYear(
        up=np.stack([c.up + late + c.spread * units.stand for c in courses]),
        down=np.stack([c.down - 0.6 * late + c.spread * second for c in courses]),
        weather=1 + YEAR_COVER * normal(ids, _YEAR, year),
        thirst=np.minimum(np.maximum(units.dry_summer, 0.8 * units.dry) + 0.6 * drought, 1),
        mown=(uniform(ids, _MOWN) < MOWN).astype(np.float32),
        every=CUT_DAYS + CUT_RANGE * uniform(ids, _EVERY),
        first_cut=FIRST_CUT + FIRST_RANGE * uniform(ids, _FIRST, year) + units.late_days,
        resown=(uniform(ids, _RESOWN, year) < RESOWN).astype(np.float32),
        herd=GRAZED * uniform(ids, _HERD, year, parts) ** 2,
        age=_age_factor(units, year),
    )


def perennial_cover(drawn: PerennialYear, day: float, tropics: float) -> Field:
    """Return the cover by unit and vegetation type, (N, types), 0..1; that of crops is 0.

    Parameters
    ----------
    drawn : PerennialYear
    day : float
        Day of the northern year.
    tropics : float
        0 in temperate climate, 1 in the tropics.
    """
    cover = np.zeros((len(drawn.weather), len(Vegetation)), dtype=np.float32)
    drought = float(np.exp(-(((day - DRY_DAY) / DRY_DAYS) ** 2))) * drawn.thirst
    rains = 0.5 - 0.5 * np.cos(4 * np.pi * (day - RAINS_DAY) / DAYS)
    wet = DRY_SEASON_COVER + (1 - DRY_SEASON_COVER) * rains
    for k, (kind, c) in enumerate(COURSES.items()):
        course = logistic((day - drawn.up[k]) / c.rise) - logistic((day - drawn.down[k]) / c.fall)
        course += tropics * ((1.0 if kind in EVERGREEN else wet) - course)
        cover[:, kind] = (c.low + (c.high - c.low) * course) * (1 - c.thirst * drought)
    cover *= drawn.weather.astype(np.float32)[:, None]
    cover[:, Vegetation.MEADOW] *= _used(drawn, day)
    cover[:, Vegetation.ORCHARD] *= drawn.age
    cover[:, Vegetation.VINE] *= drawn.age
    return np.clip(cover, 0, MAX_COVER, out=cover)


def _used(drawn: PerennialYear, day: float) -> Floats:
    """Return the factor of the cover of meadows and pastures by mowing, grazing and sowing."""
    first, every = drawn.first_cut, drawn.every
    since = np.where((day < first) | (day > LAST_CUT + every), 300.0, (day - first) % every)
    cut = 1 - CUT_LOSS * np.exp(-since / REGROWTH_DAYS)
    grazed = 1 - drawn.herd[int(day) // GRAZING_DAYS] * (GRAZED_FROM < day < GRAZED_UNTIL)
    sown = 1 - drawn.resown * (day > RESOWING) / (1 + np.exp((day - RESOWN_AFTER) / 6))
    return np.asarray(np.where(drawn.mown > 0, cut, grazed) * sown)


def _age_factor(units: Units, year: int) -> Floats:
    """Return the factor of the cover of orchards and vineyards by their age."""
    life = np.floor(LIFE_YEARS + LIFE_RANGE * uniform(units.ids, _LIFE))
    age = (year + np.floor(100 * uniform(units.ids, _PLANTED))) % life
    return np.asarray(np.minimum(YOUNG + GROWTH * age, 1))
