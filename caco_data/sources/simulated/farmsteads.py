"""Farmsteads: yards with a few roofs and trees, every few hundred metres in farmland."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from caco_data.sources.simulated.frame import Mask
from caco_data.sources.simulated.layers import Layers
from caco_data.sources.simulated.noise import mix, uniform
from caco_data.sources.simulated.salts import WorldSalt
from caco_data.sources.simulated.spectra import Material, Vegetation
from caco_data.sources.simulated.surface import Surface

#: Spacing of the lattice of farmsteads, pixels, and fraction of its cells with one.
CELL_PX, FRACTION = 38, 0.5
#: Half of the side of the window in which a farmstead is drawn, pixels.
REACH_PX = 6
#: Radius of the garden and trees, and half sides of the yard, pixels: minimum and range.
GARDEN_PX, GARDEN_RANGE_PX, YARD_PX, YARD_RANGE_PX = 3.0, 2.4, 1.6, 1.9
#: Half sides of barns and houses, pixels; distance of their middles from that of the yard; height.
BARN_PX, BARN_HALF_WIDTH_PX, OFFSET_PX, BARN_HEIGHT = 2.3, 0.8, 1.7, 0.7
ROOFS = (Material.RED_ROOF, Material.DARK_ROOF, Material.GREY_ROOF, Material.BROWN_ROOF)
#: Numbers hashed with a cell's name, one per attribute.
_EXISTS, _X, _Y, _ANGLE, _GARDEN, _YARD, _ROOF, _LIGHT = range(1, 9)


def add_farmsteads(surface: Surface, where: Mask, layers: Layers) -> None:
    """Draw the farmsteads whose middle is within a mask, in place."""
    frame, c = layers.frame, CELL_PX
    wide = frame.grown(REACH_PX)
    rows = np.arange(wide.y0 // c, (wide.y0 + wide.height) // c + 1)[:, None]
    columns = np.arange(wide.x0 // c, (wide.x0 + wide.width) // c + 1)[None, :]
    key = mix(frame.seed, WorldSalt.FARMSTEADS, rows, columns)
    x, y = (columns + uniform(key, _X)) * c, (rows + uniform(key, _Y)) * c
    numbers = {k: uniform(key, k) for k in (_ANGLE, _GARDEN, _YARD, _ROOF, _LIGHT)}
    for i, j in np.argwhere(uniform(key, _EXISTS) < FRACTION):
        left, top = int(x[i, j]) - frame.x0 - REACH_PX, int(y[i, j]) - frame.y0 - REACH_PX
        window = (
            slice(max(top, 0), max(top + 2 * REACH_PX + 1, 0)),
            slice(max(left, 0), max(left + 2 * REACH_PX + 1, 0)),
        )
        there = where[window]
        if there.any():
            east = np.arange(frame.x0, frame.x0 + frame.width)[None, window[1]] + 0.5 - x[i, j]
            south = np.arange(frame.y0, frame.y0 + frame.height)[window[0], None] + 0.5 - y[i, j]
            drawn = {k: float(number[i, j]) for k, number in numbers.items()}
            _draw(surface, window, there, drawn, east, south)


def _draw(
    surface: Surface, window: tuple[slice, slice], there: Mask,
    drawn: dict[int, float], east: NDArray[np.floating], south: NDArray[np.floating],
) -> None:  # fmt: skip
    cos, sin = np.cos(drawn[_ANGLE] * np.pi), np.sin(drawn[_ANGLE] * np.pi)
    u, v = east * cos + south * sin, south * cos - east * sin
    garden = there & (np.hypot(u, v) < GARDEN_PX + GARDEN_RANGE_PX * drawn[_GARDEN])
    half = YARD_PX + YARD_RANGE_PX * drawn[_YARD]
    yard = there & (np.abs(u) < half) & (np.abs(v) < half * 0.8)
    barns = [np.maximum(np.abs(u) - BARN_PX, np.abs(v - OFFSET_PX) - BARN_HALF_WIDTH_PX) < 0]
    if drawn[_YARD] > 0.35:
        barns.append(np.maximum(np.abs(u + OFFSET_PX) - BARN_HALF_WIDTH_PX, np.abs(v + 1) - 1) < 0)
    surface.vegetation[window][garden] = Vegetation.GARDEN
    surface.density[window][garden] = 1.1
    surface.material[window][yard] = Material.GRAVEL
    surface.density[window][yard] = 0.15
    surface.brightness[window][yard] = 0.8 + 0.3 * drawn[_GARDEN]
    for k, barn in enumerate(barns):
        roof = there & barn
        material = ROOFS[int((drawn[_ROOF] * (k + 1)) % 1 * len(ROOFS))]
        surface.material[window][roof] = material
        surface.density[window][roof] = 0
        surface.brightness[window][roof] = 0.75 + 0.5 * ((drawn[_LIGHT] * (k + 1)) % 1)
        surface.height[window][roof] = BARN_HEIGHT
