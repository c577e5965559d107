"""Permanent changes: construction, clearing, new lakes, solar parks, each with a place and a day.

Events are placed on a jittered lattice. They are frequent near towns and rare far from them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from caco_data.sources.simulated.frame import Frame, Mask
from caco_data.sources.simulated.land_cover import Cover
from caco_data.sources.simulated.noise import Field, mix, uniform
from caco_data.sources.simulated.partition import Parcels
from caco_data.sources.simulated.salts import WorldSalt
from caco_data.sources.simulated.settlement import Town, urban_density

#: Spacing of the lattice of events, pixels.
CELL_PX = 96
#: Events reach at most this far from their cell, pixels.
REACH_PX = 2 * CELL_PX
#: Range of the events' days, counted from 2015-07-01: mid 2016 to the end of 2028.
FIRST_DAY, LAST_DAY = 366.0, 4930.0
#: Probability of an event in a cell over the whole range, far from towns and at their fringe.
RARE, FREQUENT = 0.03, 0.3
#: Urban density of the fringe; urban density and transition width of the core, where little land is
#: left to build on; frequency of events in the core relative to the fringe.
FRINGE_URBAN, CORE_URBAN, CORE_TRANSITION, CORE_ACTIVITY = 0.25, 1.35, 0.6, 0.25

#: Urban density above which `_NEAR_TOWN` applies.
NEAR_TOWN_ABOVE = 0.12
#: The new land cover with its cumulative probability, near towns and elsewhere.
_NEAR_TOWN = (
    (0.52, Cover.RESIDENTIAL), (0.82, Cover.INDUSTRIAL), (0.89, Cover.BARE),
    (0.96, Cover.SOLAR_PARK), (1.0, Cover.GREENHOUSE),
)  # fmt: skip
_ELSEWHERE = (
    (0.36, Cover.BARE), (0.58, Cover.ANNUAL_CROP), (0.74, Cover.SOLAR_PARK), (0.85, Cover.LAKE),
    (0.94, Cover.INDUSTRIAL), (1.0, Cover.GREENHOUSE),
)  # fmt: skip
#: Land cover that is a building site first: shortest time and range, days.
BUILT_IN_STAGES = (Cover.RESIDENTIAL, Cover.INDUSTRIAL, Cover.SOLAR_PARK, Cover.GREENHOUSE)
SITE_DAYS, SITE_RANGE_DAYS = 120.0, 500.0

#: Half width, pixels: minimum, range, exponent (large events are rare); factor for housing.
HALF_WIDTH_PX, HALF_WIDTH_RANGE_PX, HALF_WIDTH_EXPONENT = 11, 75, 2.2
RESIDENTIAL_SIZE = 0.8
#: Half height relative to the half width: minimum and range.
HEIGHT_MIN, HEIGHT_RANGE = 0.5, 0.7
#: Land cover that takes whole parcels: those whose centre is at most this far outside the event's
#: rectangle, pixels.
BY_PARCEL = (*BUILT_IN_STAGES, Cover.ANNUAL_CROP)
PARCEL_MARGIN_PX = 3.0
#: Standard deviation of the outline of other changes from a rectangle, in half widths, and maximum
#: deviation, in standard deviations.
NATURAL_ROUGHNESS = 0.45
MAX_DEVIATION = 1.5

#: Numbers hashed with a cell's seed, one per attribute.
_X, _Y, _HAPPENS, _KIND, _SIZE, _SHAPE, _ANGLE, _DAY, _SITE = range(1, 10)


@dataclass(frozen=True, slots=True)
class Event:
    """One permanent change."""

    x: float
    """Column of the centre, absolute pixels."""
    y: float
    """Row of the centre, absolute pixels."""
    half_width: float
    """Pixels."""
    half_height: float
    """Pixels."""
    roughness: float
    """Standard deviation of the outline from a rectangle, pixels."""
    angle: float
    """Orientation, radians."""
    becomes: Cover
    """Land cover from `day` on."""
    day: float
    """Days from 2015-07-01."""
    site_days: float
    """Time from `day` until the new land cover is complete; before that it is a building site."""

    def touches(self, frame: Frame) -> bool:
        """Whether the event may reach into a frame."""
        reach = float(np.hypot(self.half_width, self.half_height)) * (1 + NATURAL_ROUGHNESS)
        reach += PARCEL_MARGIN_PX + frame.width
        middle_x, middle_y = frame.x0 + frame.width / 2, frame.y0 + frame.height / 2
        return abs(self.x - middle_x) < reach and abs(self.y - middle_y) < reach


def events(frame: Frame, towns: list[Town]) -> list[Event]:
    """Return the events that may reach into a frame, earliest first."""
    c = CELL_PX
    wide = frame.grown(REACH_PX)
    rows = np.arange(wide.y0 // c, (wide.y0 + wide.height) // c + 1)[:, None]
    columns = np.arange(wide.x0 // c, (wide.x0 + wide.width) // c + 1)[None, :]
    key = mix(frame.seed, WorldSalt.CHANGES, rows, columns)
    x = (columns + uniform(key, _X)) * c
    y = (rows + uniform(key, _Y)) * c
    urban = urban_density(towns, x, y)
    outside_core = np.clip((CORE_URBAN - urban) / CORE_TRANSITION, CORE_ACTIVITY, 1)
    fringe = np.clip(urban / FRINGE_URBAN, 0, 1) * outside_core
    happens = uniform(key, _HAPPENS) < RARE + (FREQUENT - RARE) * fringe
    found = []
    for i, j in np.argwhere(happens):
        k = int(key[i, j]) >> 1
        kind, size, shape, angle, when, site = (
            float(uniform(k, number)) for number in (_KIND, _SIZE, _SHAPE, _ANGLE, _DAY, _SITE)
        )
        table = _NEAR_TOWN if urban[i, j] > NEAR_TOWN_ABOVE else _ELSEWHERE
        becomes = next(cover for probability, cover in table if kind <= probability)
        half = HALF_WIDTH_PX + HALF_WIDTH_RANGE_PX * size**HALF_WIDTH_EXPONENT
        if becomes is Cover.RESIDENTIAL:
            half *= RESIDENTIAL_SIZE
        found.append(
            Event(
                x=float(x[i, j]),
                y=float(y[i, j]),
                half_width=half,
                half_height=half * (HEIGHT_MIN + HEIGHT_RANGE * shape),
                roughness=NATURAL_ROUGHNESS * half,
                angle=angle * np.pi,
                becomes=becomes,
                day=FIRST_DAY + (LAST_DAY - FIRST_DAY) * when,
                site_days=(SITE_DAYS + SITE_RANGE_DAYS * site) * (becomes in BUILT_IN_STAGES),
            )
        )
    found = [event for event in found if event.touches(frame)]
    return sorted(found, key=lambda event: event.day)


def event_mask(event: Event, frame: Frame, parcels: Parcels, deviation: Field) -> Mask:
    """Return the pixels that an event changes; `deviation` is noise of unit variance, (H, W)."""
    if event.becomes in BY_PARCEL:
        beyond = _beyond(event, parcels.x, parcels.y)
        return np.asarray((beyond < PARCEL_MARGIN_PX).take(parcels.index))
    limit = np.clip(deviation, -MAX_DEVIATION, MAX_DEVIATION) * event.roughness
    return np.asarray(_beyond(event, *frame.coordinates()) < limit)


def _beyond(event: Event, x: NDArray[np.floating], y: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return how far points are outside an event's rectangle, pixels; negative inside."""
    cos, sin = np.cos(event.angle), np.sin(event.angle)
    u = np.abs((x - event.x) * cos + (y - event.y) * sin)
    v = np.abs((y - event.y) * cos - (x - event.x) * sin)
    return np.asarray(np.maximum(u - event.half_width, v - event.half_height))
