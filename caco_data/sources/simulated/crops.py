"""Annual crops: which one grows on a parcel in a year, when it is sown, harvested and ploughed.

Every parcel draws its crop every year, with weights of its region and climate, and its own dates.
Calendars follow the crop calendars of the European Commission's MARS bulletins and of FAO.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from caco_data.sources.simulated.noise import Field, normal, uniform
from caco_data.sources.simulated.spectra import Canopy, Vegetation
from caco_data.sources.simulated.units import Units

Floats = NDArray[np.floating]
Index = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Crop:
    """The course of an annual crop; days of the northern year."""

    canopy: int
    """Row of `CANOPIES`."""
    oceanic: float
    """Fraction of the arable land in oceanic climate."""
    continental: float
    """The same in continental climate."""
    dry: float
    """The same in dry climate."""
    up: float
    """Day on which the canopy reaches half of its cover."""
    rate: float
    """Duration of the growth: the cover is a logistic function, days."""
    ripe: float
    """Day on which half of the canopy is ripe; 400 if it is harvested green."""
    harvest: float
    """Day of the harvest."""
    cover: float = 0.96
    """Greatest cover."""
    winter: float = 0.0
    """Cover in winter of a crop sown in autumn."""
    sown: float = 0.0
    """Day on which it emerges in the autumn before; 0 if it is sown in spring."""


# fmt: off
CROPS = (
    Crop(Canopy.CEREAL,    .09, .34, .46,  98, 11, 188, 216, .96, .40, 305),
    Crop(Canopy.RAPE,      .02, .11, .02,  84, 10, 183, 207, .96, .70, 262),
    Crop(Canopy.CEREAL,    .02, .12, .06, 122,  9, 196, 224, .93),
    Crop(Canopy.MAIZE,     .37, .20, .07, 157,  7, 262, 277, .95),
    Crop(Canopy.BEET,      .14, .06, .01, 148,  8, 400, 292, .97),
    Crop(Canopy.POTATO,    .15, .04, .03, 147,  7, 248, 262, .96),
    Crop(Canopy.SUNFLOWER, .00, .05, .10, 160,  8, 232, 256, .90),
    Crop(Canopy.CLOVER,    .17, .06, .09,  90, 14, 400, 320, .95, .60, 265),
    Crop(Vegetation.WEEDS, .02, .02, .16, 100, 25, 190, 260, .40, .25, 290),
)
# fmt: on
#: Standard deviations between parcels of emergence and of harvest, days.
SOWING_DAYS, HARVEST_DAYS = 6.0, 7.0
#: Specialisation of regions: standard deviation of the logarithm of a crop's share.
SPECIALISATION = 0.6
#: The same for parcels: soil, slope and the kind of farm favour some crops in every year.
PREFERENCE = 3.0
#: Power of a region's shares that keeps them on the average parcel, although preferences even them
#: out: a normal deviate added to a logarithm acts like the extreme-value deviate of a random
#: choice, whose standard deviation is pi / sqrt(6) (McFadden, 1974).
SHARE_POWER = math.hypot(1, PREFERENCE * math.sqrt(6) / math.pi)
#: Fraction of the parcels on which one crop is grown for some years, and that number of years.
MONOCULTURES, KEPT_YEARS = 0.75, 6
#: Fraction of the fields that are ploughed within weeks of the harvest, and of the others those
#: with a catch crop; days from harvest to ploughing at most; day of the catch crop's half cover and
#: of its end.
PLOUGHED_SOON, CATCH_CROPS, PLOUGHING_DAYS = 0.55, 0.5, 70.0
CATCH_COVER, CATCH_UP, CATCH_END = 0.75, 268.0, 70.0
#: Duration of ripening and of the growth of autumn sowings, days.
RIPENING_DAYS, AUTUMN_DAYS = 5.0, 10.0
#: Days of flowering of rape, and its duration.
FLOWER_DAY, FLOWER_DAYS = 122.0, 12.0
#: Mowing of clover: first day, days between cuts, days of regrowth, cover lost, last day.
FIRST_CUT, CUT_DAYS, REGROWTH_DAYS, CUT_LOSS, LAST_CUT = 140.0, 38.0, 7.0, 0.3, 300.0
#: Cover of volunteers on stubble; first tillage in spring, day; factor on the soil after a tillage:
#: minimum and range.
VOLUNTEERS, SPRING_DAY, TILTH, TILTH_RANGE = 0.18, 70.0, 0.78, 0.44
#: Days by which a drought brings the harvest forward; cover that the thinnest crop lacks, in
#: average years and in addition in a drought.
DROUGHT_DAYS, THIN, THIN_IN_DROUGHT = 12.0, 0.08, 0.3
#: Numbers hashed with a parcel's name and year.
_CROP, _SOWING, _HARVEST, _VIGOUR, _AFTER, _PLOUGHING, _TILTH, _CUT, _KEPT, _PREFERENCE = range(
    11, 21
)

_UP, _RATE, _RIPE, _HARVESTED, _COVER, _WINTER, _SOWN = (
    np.array([getattr(crop, name) for crop in CROPS])
    for name in ("up", "rate", "ripe", "harvest", "cover", "winter", "sown")
)
_CANOPY = np.array([int(crop.canopy) for crop in CROPS])
_RAPE, _CLOVER = 1, 7


@dataclass(frozen=True, slots=True)
class CropState:
    """Annual crops on a day; arrays of shape (N,)."""

    cover: Field
    """0..1."""
    canopy: NDArray[np.intp]
    """Row of `CANOPIES`."""
    ripe: Field
    """0 green, 1 ripe: the canopy is that of ripe cereals."""
    straw: Field
    """Fraction of the bare ground under stubble, 0..1."""
    tilth: Field
    """Factor on the reflectance of the bare soil, by roughness and moisture after tillage."""
    flower: Field
    """Fraction of the canopy in flower, 0..1."""


def logistic(x: Floats) -> Floats:
    """Return 1 / (1 + exp(-x)) without overflow."""
    return np.asarray(1 / (1 + np.exp(-np.clip(x, -30, 30))))


@dataclass(frozen=True)
class CropYear:
    """What the parcels draw in a growing year; arrays of shape (N,), days of the northern year."""

    now: Index
    """Crop, number of `CROPS`."""
    following: Index
    """Crop of the next year."""
    up: Floats
    """Half of the crop's cover."""
    ripe: Floats
    harvest: Floats
    ploughing: Floats
    """Ploughing after the harvest."""
    autumn: Floats
    """Half of the cover of the next crop, if it is sown in autumn."""
    vigour: Floats
    """Factor on the cover."""
    caught: Floats
    """Cover of the catch crop before a spring crop."""
    caught_until: Floats
    catches: Floats
    """Cover of the catch crop after the harvest."""
    first_cut: Floats
    late: Floats
    """Delay of the year, days."""
    tilth: Field
    """Factor on the soil after each number of operations, (operations, N)."""


def crop_numbers(units: Units, year: int, limits: Floats) -> Index:
    """Return the crop of each parcel in a year: numbers of `CROPS`, (N,)."""
    kept = uniform(units.ids, _KEPT)
    drawn_in = np.where(kept < MONOCULTURES, (year + np.floor(100 * kept)) // KEPT_YEARS, year)
    draw = uniform(units.ids, _CROP, drawn_in)[:, None]
    return np.asarray((draw > limits).sum(axis=1).clip(0, len(CROPS) - 1))


def crop_year(units: Units, year: int, warm_days: float, drought: float) -> CropYear:
    """Draw the crops and dates of a growing year.

    Parameters
    ----------
    units : Units
    year : int
    warm_days : float
        Days by which the year is earlier than average.
    drought : float
        Drought of the year's summer, 0..1: crops ripen early and thin.
    """
    ids, limits = units.ids, _limits(units)
    now, following = (crop_numbers(units, y, limits) for y in (year, year + 1))
    late = units.late_days - warm_days
    up = _UP[now] + late + SOWING_DAYS * normal(ids, _SOWING, year)
    harvest = _HARVESTED[now] + late + HARVEST_DAYS * normal(ids, _HARVEST, year)
    harvest = np.maximum(harvest - DROUGHT_DAYS * drought, up + 40)
    ripe = _RIPE[now] + late + 0.7 * (harvest - _HARVESTED[now] - late)
    soon = uniform(ids, _PLOUGHING, year) < PLOUGHED_SOON
    wait = PLOUGHING_DAYS * uniform(ids, _TILTH, year) * np.where(soon, 0.35, 2.0)
    spring, next_spring = _SOWN[now] == 0, _SOWN[following] == 0
    caught = (uniform(ids, _AFTER, year - 1) < CATCH_CROPS) & spring
    catches = (uniform(ids, _AFTER, year) < CATCH_CROPS) & next_spring
    stages = np.arange(5)[:, None]
    return CropYear(
        now,
        following,
        up=up,
        ripe=np.where(_RIPE[now] > 365, 999.0, ripe),
        harvest=harvest,
        ploughing=harvest + wait,
        autumn=_SOWN[following] + late + SOWING_DAYS * normal(ids, _SOWING, year + 1),
        vigour=1 - (THIN + THIN_IN_DROUGHT * drought) * uniform(ids, _VIGOUR, year) ** 2,
        caught=CATCH_COVER * caught,
        caught_until=CATCH_END + late + 20 * uniform(ids, _PLOUGHING, year - 1),
        catches=CATCH_COVER * catches,
        first_cut=FIRST_CUT + late + CUT_DAYS * uniform(ids, _CUT, year),
        late=late,
        tilth=(TILTH + TILTH_RANGE * uniform(ids, _TILTH, year, stages)).astype(np.float32),
    )


def crop_state(drawn: CropYear, day: float) -> CropState:
    """Return the state of the annual crops on a day of the northern year."""
    now, harvested = drawn.now, day > drawn.harvest
    growth = logistic((day - drawn.up) / _RATE[now])
    standing = (_WINTER[now] + (_COVER[now] - _WINTER[now]) * growth) * drawn.vigour
    cut = now == _CLOVER
    standing[cut] *= _after_cut(drawn.first_cut[cut], day)
    before = drawn.caught * logistic((drawn.caught_until - day) / 3)
    straw = logistic((drawn.ploughing - day) / 1.5)
    sown = _WINTER[drawn.following] * logistic((day - drawn.autumn) / AUTUMN_DAYS)
    catch = drawn.catches * logistic((day - np.maximum(CATCH_UP, drawn.harvest + 25)) / 9)
    weeds = VOLUNTEERS * straw * logistic((day - drawn.harvest - 25) / 6)
    after = np.maximum(np.maximum(sown * (_SOWN[drawn.following] > 0), catch), weeds)
    canopy = np.where(harvested, _CANOPY[drawn.following], _CANOPY[now])
    canopy[(harvested & (_SOWN[drawn.following] == 0)) | (before > standing)] = Canopy.CLOVER
    flower = np.exp(-(((day - FLOWER_DAY - drawn.late) / FLOWER_DAYS) ** 2)) * (now == _RAPE)
    stage = (day > SPRING_DAY + drawn.late).astype(np.intp) + (day > drawn.up - 25)
    stage += harvested
    stage += day > drawn.ploughing
    return CropState(
        cover=np.where(harvested, after, np.maximum(standing, before)).astype(np.float32),
        canopy=canopy,
        ripe=(logistic((day - drawn.ripe) / RIPENING_DAYS) * ~harvested).astype(np.float32),
        straw=(straw * harvested).astype(np.float32),
        tilth=drawn.tilth[stage, np.arange(stage.size)],
        flower=(flower * ~harvested).astype(np.float32),
    )


def _after_cut(first: Floats, day: float) -> Floats:
    """Return the factor of the cover of mown crops: low after each cut."""
    since = np.where(day < first, 200, (day - first) % CUT_DAYS)
    return np.asarray(1 - CUT_LOSS * (day < LAST_CUT) * np.exp(-since / REGROWTH_DAYS))


def _limits(units: Units) -> Floats:
    """Return the cumulative shares of the crops on each parcel, (N, crops)."""
    oceanic, continental, dry = np.array([(c.oceanic, c.continental, c.dry) for c in CROPS]).T
    arid, ocean = units.dry[:, None], units.oceanic[:, None]
    shares = arid * dry + (1 - arid) * (ocean * oceanic + (1 - ocean) * continental)
    own = normal(units.ids[:, None], _PREFERENCE, np.arange(len(CROPS))[None, :])
    shares = (shares * np.exp(SPECIALISATION * units.special)) ** SHARE_POWER
    shares = shares * np.exp(PREFERENCE * own)
    return np.asarray(shares.cumsum(axis=1) / shares.sum(axis=1, keepdims=True))
