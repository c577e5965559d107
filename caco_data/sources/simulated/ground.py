"""The ground of a grid: its land cover before and after what changes, its look, its relief.

Slow to make and independent of time, so it is made once a place (`simulated` keeps some).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from caco_data.types import Grid

from .changes import REACH_PX, events, taken
from .frame import Frame, frame_of
from .land_cover import Cover
from .land_use import cover_of
from .layers import Layers
from .noise import Field
from .settlement import sea, towns, urbanity
from .surface import Look, look_of_cover

#: Pixels around the grid that the optics blur into it.
MARGIN_PX = 1


@dataclass(frozen=True)
class Ground:
    """A place; fields of shape (H, W), a margin of `MARGIN_PX` about the grid included."""

    frame: Frame
    before: Look
    """Until `change_day`."""
    after: Look | None
    """From `change_day` on; None where nothing ever changes."""
    change_day: Field
    """Days from 2015-07-01; infinite where nothing changes."""
    slope_east: Field
    """Rise over run towards the east."""
    slope_south: Field
    """Rise over run towards the south."""
    phase: Field
    """0..1, a draw a parcel: how early its crop is."""
    rotation: Field
    """0..1, another one: which crop it bears in odd years."""
    grain: Field
    """Fine texture, unit variance."""
    patches: Field
    """Coarser texture, unit variance."""


def make_ground(grid: Grid, seed: int) -> Ground:
    """Make the ground of a grid; a pixel is the same in every grid that holds it."""
    frame = frame_of(grid, seed).grown(MARGIN_PX)
    places = towns(grid, frame, REACH_PX)
    layers = Layers(frame, grid.epsg, urbanity(places, *frame.coordinates()))
    cover = cover_of(layers, sea(grid, frame))
    later, change_day = cover.copy(), np.full(cover.shape, np.inf, dtype=np.float32)
    bend = frame.fractal(62, (24, 9))
    for event in events(frame, places):
        where = taken(event, frame, bend) & np.isinf(change_day)
        where &= (cover != event.becomes) & ~np.isin(cover, (Cover.SEA, Cover.RIVER, Cover.LAKE))
        if event.becomes is not Cover.INDUSTRIAL:
            where &= cover != Cover.RESIDENTIAL  # houses give way to nothing less than that
        later[where] = event.becomes
        change_day[where] = event.day
    slope_east, slope_south = _slopes(layers)
    level = np.isin(cover, _LEVEL) | np.isin(later, _LEVEL)
    slope_east[level], slope_south[level] = 0, 0
    after = look_of_cover(layers, later) if np.isfinite(change_day).any() else None
    return Ground(
        frame,
        look_of_cover(layers, cover),
        after,
        change_day,
        slope_east,
        slope_south,
        phase=layers.fields.draw(1),
        rotation=layers.fields.draw(2),
        grain=layers.grain,
        patches=layers.patches,
    )


#: What is level, or is made so.
_LEVEL = (
    Cover.SEA, Cover.LAKE, Cover.RIVER, Cover.INDUSTRIAL, Cover.RESIDENTIAL, Cover.SOLAR_PARK,
)  # fmt: skip


def _slopes(layers: Layers) -> tuple[Field, Field]:
    """Rise over run of hills: ridges that branch, valleys between them."""
    wide = layers.frame.grown(1)
    height = np.zeros((wide.height, wide.width), dtype=np.float32)
    for salt, scale in enumerate((420, 170, 74, 33, 15)):
        # Rivers cut valleys: the absolute value leaves sharp lines where they run.
        height += np.float32(0.21 * scale**0.92) * np.abs(wide.noise(710 + salt, scale))
    half = layers.steepness / 2
    east = (height[1:-1, 2:] - height[1:-1, :-2]) * half
    south = (height[2:, 1:-1] - height[:-2, 1:-1]) * half
    return east.astype(np.float32), south.astype(np.float32)
