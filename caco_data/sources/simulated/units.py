"""Units: parcels, forest stands and blocks of houses, which share properties and draws.

Whatever differs from one unit to another is computed once per unit and looked up for the pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from caco_data.sources.simulated.climate import dry_summer, dryness, oceanic
from caco_data.sources.simulated.frame import Frame, Ids
from caco_data.sources.simulated.noise import Field, derive_seed, mix, normal, points
from caco_data.sources.simulated.partition import Parcels
from caco_data.sources.simulated.places import longitude_latitude
from caco_data.sources.simulated.salts import WorldSalt
from caco_data.sources.simulated.spectra import MODES, Soil

#: Spatial scales of the soils' variation, pixels, and its weight against the climate's; variation
#: between parcels. The share of a soil is the exponential of its index, relative to the sum.
SOIL_SCALES_PX, SOIL_REGION, SOIL_PARCEL = (3000, 700), 1.9, 0.4
#: Index of each soil: constant, and weights of dryness and of the tropics.
SOIL_INDEX = {
    Soil.BROWN: (1.3, -0.8, 0.0), Soil.GREY: (0.5, 0.3, -0.5), Soil.RED: (-2.2, 3.0, 3.2),
    Soil.PALE: (-0.4, 2.2, -1.0), Soil.BLACK: (-0.2, -1.6, -0.5),
}  # fmt: skip
#: Latitude below which soils are tropical, and width of the transition, degrees.
TROPICS_LATITUDE, TROPICS_RANGE = 26.0, 12.0
#: Altitude: scale in pixels of the field that the leaf-out follows, and days of delay per
#: standard deviation of it.
ALTITUDE_SCALE_PX = 420
#: Scale of the specialisation of regions in crops, pixels (12 km).
SPECIALISATION_PX, CROPS = 1200, 9
#: Delay of crops and leaf-out: days per degree of latitude from `REFERENCE_LATITUDE`, at most
#: `LATITUDE_RANGE` degrees from it.
LATITUDE_DAYS, REFERENCE_LATITUDE, LATITUDE_RANGE = 1.3, 49.5, 14.0
#: Deviations of spectra: weights of the unit's own and of the place's, and scale of the latter in
#: pixels: a town's roofs, a region's stone and plants have something in common.
MODE_OWN, MODE_PLACE, PALETTE_SCALE_PX = 0.6, 1.5, 1300
#: Numbers hashed with a unit's name.
_SOIL, _MODE, _STAND = 31, 37, 47


@dataclass(frozen=True)
class Units:
    """Properties of units; arrays of N units."""

    ids: Ids
    """One hash per unit, (N,)."""
    dry: Field
    """Dryness of the climate, 0..1."""
    dry_summer: Field
    """Degree of a climate with dry summers, 0..1."""
    oceanic: Field
    """Degree of oceanic climate, 0..1."""
    late_days: Field
    """Delay of the growing season by latitude, days."""
    altitude: Field
    """Height, standard deviations."""
    stand: Field
    """Difference of forests and perennials from stand to stand, unit variance."""
    soil: Field
    """Shares of the soils, (N, soils)."""
    special: Field
    """Specialisation in each crop, unit variance, (N, crops)."""
    modes: Field
    """Deviations of the spectra by mode, unit variance, (N, modes)."""

    def joined(self, other: Units) -> Units:
        """Return the units of both; those of `other` follow."""
        pairs = ((getattr(self, f.name), getattr(other, f.name)) for f in fields(self))
        return Units(*(np.concatenate(pair) for pair in pairs))


def make_units(frame: Frame, epsg: int, parcels: Parcels) -> Units:
    """Compute the properties of parcels from their places and names."""
    x, y, ids = parcels.x, parcels.y, parcels.ids
    longitude, latitude = longitude_latitude(epsg, x, y)
    dry = np.clip(dryness(longitude, latitude), 0, 1)

    def regional(salt: int, count: int, scale_px: int) -> Field:
        seeds = mix(frame.seed, salt + np.arange(count))
        values = points(seeds, parcels.region_x, parcels.region_y, scale_px)
        return values.take(parcels.region, axis=1)

    special = regional(WorldSalt.SPECIALISATION, CROPS, SPECIALISATION_PX)
    places = regional(WorldSalt.PALETTE, len(MODES), PALETTE_SCALE_PX)
    modes = [MODE_OWN * normal(ids, _MODE, k) + MODE_PLACE * places[k] for k in range(len(MODES))]
    late = np.clip(np.abs(latitude) - REFERENCE_LATITUDE, -LATITUDE_RANGE, LATITUDE_RANGE)
    return Units(
        ids=ids,
        dry=_float32(dry),
        dry_summer=_float32(dry_summer(longitude, latitude)),
        oceanic=_float32(oceanic(longitude, latitude)),
        late_days=_float32(LATITUDE_DAYS * late),
        altitude=points(derive_seed(frame.seed, WorldSalt.RIDGES), x, y, ALTITUDE_SCALE_PX),
        stand=_float32(normal(ids, _STAND)),
        soil=_soils(regional, ids, dry, latitude),
        special=_float32(special.T),
        modes=_float32(np.stack(modes, axis=1)),
    )


def _float32(values: NDArray[np.floating]) -> Field:
    return np.asarray(values, dtype=np.float32)


def _soils(
    regional: Callable[[int, int, int], Field], ids: Ids, dry: NDArray[np.floating],
    latitude: NDArray[np.floating],
) -> Field:  # fmt: skip
    """Return the shares of the soils, (N, soils)."""
    tropics = np.clip((TROPICS_LATITUDE - np.abs(latitude)) / TROPICS_RANGE, 0, 1)
    indices = []
    fields_of = [
        regional(WorldSalt.SOILS + 10 * k, len(Soil), scale_px)
        for k, scale_px in enumerate(SOIL_SCALES_PX)
    ]
    places = SOIL_REGION / len(SOIL_SCALES_PX) ** 0.5 * sum(fields_of)
    for soil, (constant, with_dryness, in_tropics) in SOIL_INDEX.items():
        index = constant + with_dryness * dry + in_tropics * tropics + places[int(soil)]
        indices.append(index + SOIL_PARCEL * normal(ids, _SOIL, int(soil)))
    shares = np.exp(np.stack(indices, axis=1))
    return _float32(shares / shares.sum(axis=1, keepdims=True))
