"""Roads and railways, and the junctions where main roads meet motorways."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from caco_data.sources.simulated.frame import Frame, Mask
from caco_data.sources.simulated.lines import line_distance
from caco_data.sources.simulated.noise import Field
from caco_data.sources.simulated.salts import WorldSalt


@dataclass(frozen=True, slots=True)
class RoadNetwork:
    """Roads along the zero lines of a smooth field."""

    salt: WorldSalt
    scale_px: int
    """Spacing of the roads, pixels."""
    half_width_px: float
    """Pixels."""
    bend_salt: WorldSalt
    bend_scale_px: int = 90
    """Length of the bends, pixels."""
    bend_weight: float = 0.06
    """Amplitude of the bends relative to the field."""

    def distance_px(self, frame: Frame) -> Field:
        """Return the distance from the nearest road, pixels, (H, W)."""
        wide = frame.grown(1)
        bends = self.bend_weight * wide.noise(self.bend_salt, self.bend_scale_px)
        return line_distance(wide.noise(self.salt, self.scale_px) + bends)


MOTORWAYS = RoadNetwork(WorldSalt.MOTORWAYS, 1500, 1.5, WorldSalt.MOTORWAY_BENDS)
MAIN_ROADS = RoadNetwork(WorldSalt.MAIN_ROADS, 420, 0.75, WorldSalt.MAIN_ROAD_BENDS)
RAILWAYS = RoadNetwork(WorldSalt.RAILWAYS, 1800, 0.6, WorldSalt.RAILWAY_BENDS)

#: Ramps of junctions, pixels: radius of the loops, distance from the crossing at which the straight
#: ramps leave the motorway and reach the main road, half width.
LOOP_PX, LEAVES_PX, REACHES_PX, RAMP_PX = 5.5, 34.0, 14.0, 0.55


def roads(frame: Frame) -> Mask:
    """Return the pixels of roads, ramps and railways, (H, W)."""
    motorway, main, railway = (
        network.distance_px(frame) for network in (MOTORWAYS, MAIN_ROADS, RAILWAYS)
    )
    found = (motorway < MOTORWAYS.half_width_px) | (main < MAIN_ROADS.half_width_px)
    found |= railway < RAILWAYS.half_width_px
    return found | _ramps(motorway, main)


def _ramps(motorway: Field, main: Field) -> Mask:
    """Return the ramps, given the distances from the motorway and the main road in pixels.

    In each quarter of a junction a straight ramp and a loop that touches both roads.
    """
    near = (motorway < REACHES_PX + 1) & (main < LEAVES_PX + 1)
    if not near.any():
        return near
    straight = np.abs(motorway / REACHES_PX + main / LEAVES_PX - 1) * REACHES_PX
    loop = np.abs(np.hypot(motorway - LOOP_PX, main - LOOP_PX) - LOOP_PX)
    return np.asarray(near & (np.minimum(straight, loop) < RAMP_PX))
