"""Reflectance of the units' materials and canopies on a day, as tables to look up pixels in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from caco_data.sources.simulated.crops import CropState
from caco_data.sources.simulated.noise import Field, normal
from caco_data.sources.simulated.spectra import (
    CANOPIES,
    MATERIALS,
    MODES,
    SOILS,
    STUBBLE,
    Canopy,
    Material,
    Vegetation,
)
from caco_data.sources.simulated.units import Units

#: Deviations of the spectra: weights of what is fixed and of what is drawn for each year.
FIXED, YEARLY = np.float32(0.87), np.float32(0.5)
#: Size of the deviations by vegetation type and material, relative to `MODES`.
_VEGETATION_SPREAD = {
    Vegetation.CONIFER: 0.18, Vegetation.BROADLEAF: 0.18, Vegetation.CROP: 1.0,
    Vegetation.MEADOW: 0.9, Vegetation.WEEDS: 1.0, Vegetation.GARDEN: 0.6,
    Vegetation.ORCHARD: 0.9, Vegetation.VINE: 0.9, Vegetation.SHRUB: 0.9,
}  # fmt: skip
_MATERIAL_SPREAD = {Material.SOIL: 1.2, Material.TILLED: 1.2, Material.DITCH: 0.5}
OTHER_MATERIALS = 1.5
#: Number hashed with a unit's name and the year.
_MODE = 81

VEGETATION_SPREAD: Field = np.array(
    [_VEGETATION_SPREAD.get(kind, 0.0) for kind in Vegetation], dtype=np.float32
)
MATERIAL_SPREAD: Field = np.array(
    [_MATERIAL_SPREAD.get(kind, OTHER_MATERIALS) for kind in Material], dtype=np.float32
)


def year_modes(units: Units, year: int) -> Field:
    """Return the deviations of the units' spectra in a year by mode, unit variance, (N, modes)."""
    numbers = np.arange(len(MODES))
    drawn = normal(units.ids[:, None], _MODE, year, numbers[None, :]).astype(np.float32)
    return np.asarray(FIXED * units.modes + YEARLY * drawn)


@dataclass(frozen=True)
class Reflectance:
    """Reflectance of N units on a day."""

    units: Units
    crops: CropState
    modes: Field
    """(N, modes)."""
    canopy: Field
    """Factor on the canopies on the date, (N,)."""
    soil: Field
    """Factor on the soils on the date, (N,)."""

    def _deviation(self, row: int) -> Field:
        # Not a matrix product: its rounding depends on the number of units.
        total = self.modes[:, 0] * MODES[0, row]
        for k in range(1, len(MODES)):
            total = total + self.modes[:, k] * MODES[k, row]
        return np.asarray(np.clip(total, -0.5, 0.6))

    def canopies(self, row: int) -> Field:
        """Return the reflectance of full canopies in a band, DN, (N, vegetation types)."""
        crops, deviation = self.crops, self._deviation(row)
        table = CANOPIES[row, : len(Vegetation)] * (1 + VEGETATION_SPREAD * deviation[:, None])
        annual = CANOPIES[row].take(crops.canopy)
        annual += crops.flower * (CANOPIES[row, Canopy.RAPE_IN_FLOWER] - annual)
        annual += crops.ripe * (CANOPIES[row, Canopy.RIPE_CEREAL] - annual)
        table[:, Vegetation.CROP] = annual * (1 + deviation)
        table *= self.canopy[:, None]
        return np.asarray(table)

    def materials(self, row: int) -> Field:
        """Return the reflectance of the ground in a band, DN, (N, materials)."""
        deviation = self._deviation(row)
        shares = self.units.soil
        soil = shares[:, 0] * SOILS[row, 0]
        for k in range(1, shares.shape[1]):
            soil = soil + shares[:, k] * SOILS[row, k]
        soil *= self.soil
        base = np.broadcast_to(MATERIALS[row], (len(soil), len(Material))).copy()
        base[:, Material.SOIL] = soil
        tilled = soil * self.crops.tilth
        base[:, Material.TILLED] = tilled + self.crops.straw * (np.float32(STUBBLE[row]) - tilled)
        base *= 1 + MATERIAL_SPREAD * deviation[:, None]
        return base
