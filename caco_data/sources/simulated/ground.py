"""The ground of a grid: its surface before and after permanent changes, and its relief.

Slow to compute and independent of time, so it is computed once per grid and cached by the source.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from caco_data.sources.simulated.changes import REACH_PX, event_mask, events
from caco_data.sources.simulated.coast import sea
from caco_data.sources.simulated.frame import FractalNoise, Frame, frame_of
from caco_data.sources.simulated.land_cover import WATER, Cover
from caco_data.sources.simulated.land_use import land_cover
from caco_data.sources.simulated.layers import Classes, Layers
from caco_data.sources.simulated.noise import Field
from caco_data.sources.simulated.parcels import FieldAttribute
from caco_data.sources.simulated.salts import WorldSalt
from caco_data.sources.simulated.settlement import towns, urban_density
from caco_data.sources.simulated.surface import Surface, bare_surface
from caco_data.sources.simulated.surface_rural import RURAL
from caco_data.sources.simulated.surface_urban import URBAN
from caco_data.types import Grid

#: Pixels around the grid that the optics blur into it.
MARGIN_PX = 1
#: Deviation of the outlines of changes.
CHANGE_OUTLINE = FractalNoise(WorldSalt.CHANGE_OUTLINE, (24, 9))

#: Land cover without slopes.
LEVEL = (*WATER, Cover.INDUSTRIAL, Cover.RESIDENTIAL, Cover.SOLAR_PARK)
#: Relief: scales of the ridges, pixels; at a steepness of 1, the height of a ridge in pixels is
#: `RIDGE_HEIGHT` times its scale to the power of `RIDGE_EXPONENT`.
RIDGE_SCALES_PX = (420, 170, 74, 33, 15)
RIDGE_HEIGHT, RIDGE_EXPONENT = 0.21, 0.92


@dataclass(frozen=True)
class Ground:
    """The ground of a grid; fields of shape (H, W), including a margin of `MARGIN_PX`."""

    frame: Frame
    before: Surface
    """Until `change_day`."""
    after: Surface | None
    """From `change_day` on; None where nothing ever changes."""
    change_day: Field
    """Days from 2015-07-01; infinite where nothing changes."""
    slope_east: Field
    """Rise over run towards the east."""
    slope_south: Field
    """Rise over run towards the south."""
    phase: Field
    """Random number per field, 0..1: determines its sowing date."""
    rotation: Field
    """Random number per field, 0..1: determines whether its crop differs in odd years."""
    coarse_texture: Field
    """Texture of 80 to 480 m, unit variance."""

    def surface_on(self, day: float) -> Surface:
        """Return the surface on a day, counted from 2015-07-01, with the changes up to it."""
        if self.after is None:
            return self.before
        changed = self.change_day <= day
        return self.before.replaced(changed, self.after) if changed.any() else self.before


def make_ground(grid: Grid, seed: int) -> Ground:
    """Compute the ground of a grid; a pixel is the same in every grid that contains it."""
    frame = frame_of(grid, seed).grown(MARGIN_PX)
    near = towns(grid, frame, REACH_PX)
    layers = Layers(frame, grid.epsg, urban_density(near, *frame.coordinates()))
    cover = land_cover(layers, sea(grid, frame))
    later, change_day = cover.copy(), np.full(cover.shape, np.inf, dtype=np.float32)
    deviation = frame.fractal(CHANGE_OUTLINE)
    for event in events(frame, near):
        where = event_mask(event, frame, deviation) & np.isinf(change_day)
        where &= (cover != event.becomes) & ~np.isin(cover, WATER)
        if event.becomes is not Cover.INDUSTRIAL:
            where &= cover != Cover.RESIDENTIAL  # houses are replaced by industry only
        later[where] = event.becomes
        change_day[where] = event.day
    slope_east, slope_south = _slopes(layers)
    level = np.isin(cover, LEVEL) | np.isin(later, LEVEL)
    slope_east[level], slope_south[level] = 0, 0
    return Ground(
        frame,
        before=surface_of(layers, cover),
        after=surface_of(layers, later) if np.isfinite(change_day).any() else None,
        change_day=change_day,
        slope_east=slope_east,
        slope_south=slope_south,
        phase=layers.fields.random(FieldAttribute.PHASE),
        rotation=layers.fields.random(FieldAttribute.ROTATION),
        coarse_texture=layers.coarse_texture,
    )


def surface_of(layers: Layers, cover: Classes) -> Surface:
    """Return the surface of a land cover, (H, W)."""
    surface = bare_surface(layers, cover)
    for kind, set_surface in (RURAL | URBAN).items():
        where = cover == kind
        if where.any():
            set_surface(surface, where, layers)
    return surface


def _slopes(layers: Layers) -> tuple[Field, Field]:
    """Return the slopes of branching ridges and valleys: rise over run to the east and south."""
    wide = layers.frame.grown(1)
    height = np.zeros((wide.height, wide.width), dtype=np.float32)
    for number, scale in enumerate(RIDGE_SCALES_PX):
        # The absolute value makes sharp valley lines, like those cut by rivers.
        ridges = np.abs(wide.noise(WorldSalt.RIDGES + number, scale))
        height += np.float32(RIDGE_HEIGHT * scale**RIDGE_EXPONENT) * ridges
    half = layers.steepness / 2
    east = (height[1:-1, 2:] - height[1:-1, :-2]) * half
    south = (height[2:, 1:-1] - height[:-2, 1:-1]) * half
    return east.astype(np.float32), south.astype(np.float32)
