"""The ground of a grid: its surface before, during and after permanent changes, and its relief.

Slow to compute and independent of the date, so it is computed once per grid and cached by the
source, with the surfaces and growing years that were used last.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from caco_data.sources.simulated.banks import set_banks
from caco_data.sources.simulated.changes import REACH_PX, event_mask, events
from caco_data.sources.simulated.coast import PLUME_PX, plumes, sea
from caco_data.sources.simulated.crops import CropYear, crop_year
from caco_data.sources.simulated.frame import FractalNoise, Frame, Mask, frame_of
from caco_data.sources.simulated.land_cover import WATER, Cover
from caco_data.sources.simulated.land_use import land_cover
from caco_data.sources.simulated.layers import Classes, Layers
from caco_data.sources.simulated.noise import Field, uniform
from caco_data.sources.simulated.phenology import PerennialYear, perennial_year
from caco_data.sources.simulated.reflectance import year_modes
from caco_data.sources.simulated.relief import relief, slopes_of
from caco_data.sources.simulated.salts import WorldSalt
from caco_data.sources.simulated.settlement import Town, towns, urban_density
from caco_data.sources.simulated.surface import Surface, bare_surface
from caco_data.sources.simulated.surface_rural import RURAL
from caco_data.sources.simulated.surface_urban import URBAN
from caco_data.sources.simulated.textures import fixed_texture, growth
from caco_data.sources.simulated.units import Units
from caco_data.sources.simulated.view import MARGIN_PX
from caco_data.sources.simulated.water import WaterPlaces, water_places
from caco_data.types import Grid

#: Deviation of the outlines of changes.
CHANGE_OUTLINE = FractalNoise(WorldSalt.CHANGE_OUTLINE, (24, 9))

#: Land cover that never changes.
KEPT = (*WATER, Cover.HIGHWAY)
#: Days from felling until shrubs have grown; distance from the shore of new lakes, pixels.
FELLED_DAYS, FLOOD_PX = 500.0, 8
#: Unevenness of crops relative to the average: minimum and range between parcels; number hashed
#: with a unit's name and the year.
UNEVEN_MIN, UNEVEN_RANGE, _UNEVEN = np.float32(0.4), np.float32(1.2), 91
#: Surfaces and growing years that a ground keeps.
CACHED_STATES = 3
#: Land cover without slopes.
LEVEL = (
    *WATER, Cover.INDUSTRIAL, Cover.RESIDENTIAL, Cover.SOLAR_PARK, Cover.GREENHOUSE,
    Cover.CONSTRUCTION,
)  # fmt: skip


@dataclass(frozen=True)
class GrowingYear:
    """What a growing year draws anew."""

    growth: Field
    """Deviation of the growth, unit variance, (H, W)."""
    modes: Field
    """Deviations of the units' spectra by mode, (N, modes)."""
    crops: CropYear
    perennials: PerennialYear
    uneven: Field
    """Unevenness of the growth of each unit's crop relative to the average, (N,)."""


@dataclass(frozen=True)
class Ground:
    """The ground of a grid; fields of shape (H, W), including a margin of `MARGIN_PX`."""

    frame: Frame
    units: Units
    before: Surface
    """Until `change_day`."""
    site: Surface | None
    """Building sites: from `change_day` to `complete_day`; None where nothing ever changes."""
    after: Surface | None
    """From `complete_day` on; None where nothing ever changes."""
    change_day: Field
    """Days from 2015-07-01; infinite where nothing changes."""
    complete_day: Field
    """Days from 2015-07-01; infinite where nothing changes."""
    relief_east: Field
    """Rise over run of the ground towards the east."""
    relief_south: Field
    """Rise over run of the ground towards the south."""
    shore_px: Field
    """Distance of water from its shore, pixels."""
    coarse_texture: Field
    """Texture of 80 to 480 m, unit variance."""
    fixed_growth: Field
    """Part of the growth that is the same in every year."""
    plume: Field | None
    """Share of river water in the sea, 0..1; None far from the coast."""
    _years: dict[int, GrowingYear] = field(default_factory=dict)
    _surfaces: dict[tuple[int, int], tuple[Surface, Field, Field]] = field(default_factory=dict)

    @cached_property
    def water_places(self) -> WaterPlaces:
        """How water differs from place to place."""
        return water_places(self.frame, self.plume)

    def _stage(self, day: float) -> tuple[int, int]:
        """Return the numbers of pixels whose change has begun and is complete."""
        return int((self.change_day <= day).sum()), int((self.complete_day <= day).sum())

    def _state(self, day: float) -> tuple[Surface, Field, Field]:
        """Return the surface on a day and its slopes to the east and south, with buildings."""
        stage = (0, 0) if self.after is None else self._stage(day)
        state = self._surfaces.get(stage)
        if state is None:
            surface = self._surface(day)
            east, south = slopes_of(surface.height)
            state = surface, east + self.relief_east, south + self.relief_south
            _keep(self._surfaces, stage, state)
        return state

    def _surface(self, day: float) -> Surface:
        surface = self.before
        if self.site is not None and self.after is not None:
            for new, since in ((self.site, self.change_day), (self.after, self.complete_day)):
                there = since <= day
                surface = surface.replaced(there, new) if there.any() else surface
        return surface

    def surface_on(self, day: float) -> Surface:
        """Return the surface on a day, counted from 2015-07-01, with the changes up to it."""
        return self._state(day)[0]

    def slopes(self, day: float) -> tuple[Field, Field]:
        """Return rise over run of ground, crowns and buildings to the east and south on a day."""
        return self._state(day)[1:]

    def year(self, year: int, warm_days: float, drought: float) -> GrowingYear:
        """Return what a growing year draws, which is early by some days and dry to a degree."""
        state = self._years.get(year)
        if state is None:
            state = GrowingYear(
                growth(self.frame, self.fixed_growth, year),
                year_modes(self.units, year),
                crop_year(self.units, year, warm_days, drought),
                perennial_year(self.units, year, warm_days, drought),
                uneven=UNEVEN_MIN + UNEVEN_RANGE * uniform(self.units.ids, _UNEVEN, year),
            )
            _keep(self._years, year, state)
        return state


def _keep(cache: dict[Any, Any], key: object, value: object) -> None:
    """Add to a cache and drop its oldest entry; threads may do so at once."""
    cache[key] = value
    for oldest in list(cache)[:-CACHED_STATES]:
        cache.pop(oldest, None)


def make_ground(grid: Grid, seed: int) -> Ground:
    """Compute the ground of a grid; a pixel is the same in every grid that contains it."""
    frame = frame_of(grid, seed).grown(MARGIN_PX)
    near = towns(grid, frame, REACH_PX)
    layers = Layers(frame, grid.epsg, urban_density(near, *frame.coordinates()))
    at_sea = sea(grid, frame.grown(PLUME_PX))
    inner = at_sea[PLUME_PX:-PLUME_PX, PLUME_PX:-PLUME_PX]
    cover, shore_px = land_cover(layers, inner)
    later, change_day, complete_day = _changes(layers, cover, near)
    before = surface_of(layers, cover, shore_px, None)
    site = after = None
    if np.isfinite(change_day).any():
        shore_px = np.where((later == Cover.LAKE) & (cover != Cover.LAKE), FLOOD_PX, shore_px)
        sites = np.where(complete_day > change_day, Cover.CONSTRUCTION, later).astype(np.uint8)
        changed = np.isfinite(change_day)
        site = surface_of(layers, sites, shore_px, changed & (complete_day > change_day))
        after = surface_of(layers, later, shore_px, changed)
    relief_east, relief_south = relief(layers)
    level = np.isin(cover, LEVEL) | np.isin(later, LEVEL)
    relief_east[level], relief_south[level] = 0, 0
    return Ground(
        frame,
        units=layers.units,
        before=before,
        site=site,
        after=after,
        change_day=change_day,
        complete_day=complete_day,
        relief_east=relief_east,
        relief_south=relief_south,
        shore_px=shore_px.astype(np.float32),
        coarse_texture=layers.coarse_texture,
        fixed_growth=fixed_texture(layers),
        plume=plumes(at_sea, layers.river_course, layers.dryness),
    )


def _changes(layers: Layers, cover: Classes, near: list[Town]) -> tuple[Classes, Field, Field]:
    """Return the land cover after the changes, the days of their beginning and completion."""
    frame = layers.frame
    later = cover.copy()
    change_day, complete_day = (np.full(cover.shape, np.inf, dtype=np.float32) for _ in range(2))
    found = events(frame, near)
    deviation = frame.fractal(CHANGE_OUTLINE) if found else layers.coarse_texture
    for event in found:
        where = event_mask(event, frame, layers.fields, deviation) & np.isinf(change_day)
        where &= (cover != event.becomes) & ~np.isin(cover, KEPT)
        if event.becomes is not Cover.INDUSTRIAL:
            where &= cover != Cover.RESIDENTIAL  # houses are replaced by industry only
        later[where] = event.becomes
        change_day[where] = event.day
        complete_day[where] = event.day + event.site_days
        if event.becomes is Cover.BARE:
            felled = where & (cover == Cover.FOREST)
            later[felled] = Cover.HERBACEOUS
            complete_day[felled] = event.day + FELLED_DAYS
    return later, change_day, complete_day


def surface_of(layers: Layers, cover: Classes, shore_px: Field, within: Mask | None) -> Surface:
    """Return the surface of a land cover, (H, W), complete in a mask only."""
    surface = bare_surface(layers, cover)
    for kind, set_surface in (RURAL | URBAN).items():
        where = cover == kind if within is None else (cover == kind) & within
        if where.any():
            set_surface(surface, where, layers)
    set_banks(surface, shore_px, layers)
    return surface
