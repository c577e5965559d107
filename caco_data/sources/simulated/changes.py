"""What changes for good: building, clearing, new water, solar parks, each at a place and a day.

Events lie on a jittered lattice. Near towns they are frequent, far from them rare.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .frame import Frame, Mask
from .land_cover import Cover
from .noise import Field, mix, uniform
from .settlement import Town, urbanity

CELL_PX = 96
#: An event reaches no further than this from its cell.
REACH_PX = 2 * CELL_PX
#: Events happen between these days, counted from 2015-07-01: mid 2016 to the end of 2028.
FIRST_DAY, LAST_DAY = 366.0, 4930.0
#: Chance of an event in a cell over all that time, far from towns and at their fringe.
RARE, FREQUENT = 0.03, 0.42

#: What becomes of the ground, with cumulated odds, at a town's fringe and elsewhere.
_NEAR_TOWN = (
    (0.55, Cover.RESIDENTIAL), (0.85, Cover.INDUSTRIAL), (0.93, Cover.BARE),
    (1.0, Cover.SOLAR_PARK),
)  # fmt: skip
_ELSEWHERE = (
    (0.40, Cover.BARE), (0.62, Cover.ANNUAL_CROP), (0.78, Cover.SOLAR_PARK), (0.90, Cover.LAKE),
    (1.0, Cover.INDUSTRIAL),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Event:
    """One permanent change."""

    x: float
    """Centre, absolute pixels."""
    y: float
    half_width: float
    """Pixels; so are the next two."""
    half_height: float
    rough: float
    """How far noise bends the outline."""
    angle: float
    """Radians."""
    becomes: Cover
    day: float
    """Days from 2015-07-01."""


def events(frame: Frame, places: list[Town]) -> list[Event]:
    """Events that may reach into a frame, earliest first."""
    c = CELL_PX
    wide = frame.grown(REACH_PX)
    rows = np.arange(wide.y0 // c, (wide.y0 + wide.height) // c + 1)[:, None]
    columns = np.arange(wide.x0 // c, (wide.x0 + wide.width) // c + 1)[None, :]
    key = mix(frame.seed, 61, rows, columns)
    x = (columns + uniform(key, 1)) * c
    y = (rows + uniform(key, 2)) * c
    urban = urbanity(places, x, y)
    # Frequent at the fringe; in a town's core little is left to build on.
    fringe = np.clip(urban / 0.25, 0, 1) * np.clip((1.35 - urban) / 0.6, 0.25, 1)
    happens = uniform(key, 3) < RARE + (FREQUENT - RARE) * fringe
    found = []
    for i, j in np.argwhere(happens):
        k = int(key[i, j]) >> 1
        kind, size, shape, angle, when = (float(uniform(k, n)) for n in range(4, 9))
        table = _NEAR_TOWN if urban[i, j] > 0.12 else _ELSEWHERE
        becomes = next(cover for odds, cover in table if kind <= odds)
        half = 11 + 75 * size**2.2
        if becomes is Cover.RESIDENTIAL:
            half *= 0.8
        # Builders draw straight lines, loggers and water do not.
        rough = 0.12 if becomes in (Cover.INDUSTRIAL, Cover.SOLAR_PARK, Cover.RESIDENTIAL) else 0.45
        found.append(
            Event(
                float(x[i, j]), float(y[i, j]), half, half * (0.5 + 0.7 * shape), rough * half,
                angle * np.pi, becomes, FIRST_DAY + (LAST_DAY - FIRST_DAY) * when,
            )
        )  # fmt: skip
    return sorted(found, key=lambda event: event.day)


def taken(event: Event, frame: Frame, bend: Field) -> Mask:
    """Pixels of a frame that an event takes; `bend` is noise of unit variance."""
    x, y = frame.coordinates()
    cos, sin = np.cos(event.angle), np.sin(event.angle)
    u = np.abs((x - event.x) * cos + (y - event.y) * sin)
    v = np.abs((y - event.y) * cos - (x - event.x) * sin)
    beyond = np.maximum(u - event.half_width, v - event.half_height)
    return np.asarray(beyond < np.clip(bend, -1.5, 1.5) * event.rough)
