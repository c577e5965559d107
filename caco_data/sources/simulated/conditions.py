"""Acquisition conditions of a scene: day, latitude, sun and cloud cover."""

from __future__ import annotations

import math
from dataclasses import dataclass

from caco_data.sources.simulated.climate import YEAR_DAYS, season
from caco_data.sources.simulated.noise import normal

#: Year and day of the year (from 0) of 2015-07-01, from which days are counted.
EPOCH_YEAR, EPOCH_DAY_OF_YEAR = 2015, 181
HALF_YEAR_DAYS = 183
#: Standard deviation between years of the beginning of the growing season, days, and its salt.
WARM_DAYS, YEAR_SALT = 10.0, 402
#: Drought of a summer that is drier than average by one standard deviation; at most 1 in any.
DROUGHT = 1.0
#: First processing baseline whose products store values with an offset of 1000.
OFFSET_BASELINE = "04.00"

#: Obliquity of the ecliptic, degrees; days from the winter solstice to the end of the year.
OBLIQUITY_DEG, SOLSTICE_DAYS = 23.44, 10
#: Hour angle of the sun at the overpass, 10:30 mean solar time, degrees.
HOUR_ANGLE_DEG = -22.5
#: Lower limit of the sun's elevation, degrees.
MIN_ELEVATION_DEG = 8


@dataclass(frozen=True)
class Conditions:
    """Acquisition conditions of one scene."""

    key: int
    """Seed of its clouds and atmosphere."""
    day: int
    """Days from 2015-07-01."""
    latitude: float
    """Latitude of the scene's centre, degrees."""
    cloud_cover: float
    """Cloud cover of the whole scene, 0..1."""
    orbit_side: float = 0.0
    """Position of the tile in the swath, -1 (western edge) to 1 (eastern edge)."""
    baseline: str = "02.11"
    """Processing baseline."""

    @property
    def warm_days(self) -> float:
        """Days by which the growing year is earlier than average."""
        return WARM_DAYS * float(normal(YEAR_SALT, int(self.growing_year)))

    @property
    def drought(self) -> float:
        """Drought of the growing year's summer, 0 in most years, to 1."""
        return min(max(float(normal(YEAR_SALT, int(self.growing_year), 1)) * DROUGHT, 0.0), 1.0)

    @property
    def min_dn(self) -> int:
        """Smallest DN of pixels with data.

        Until baseline 03 products store at least 1. Since baseline 04 they store DN + 1000, and the
        harmonised value, without the offset, ends at 0.
        """
        return 0 if self.baseline >= OFFSET_BASELINE else 1

    @property
    def sun(self) -> tuple[float, float]:
        """Elevation and azimuth (clockwise from north) of the sun, radians."""
        turn = 2 * math.pi * (self.day_of_year + SOLSTICE_DAYS) / YEAR_DAYS
        declination = math.radians(-OBLIQUITY_DEG * math.cos(turn))
        latitude, hour = math.radians(self.latitude), math.radians(HOUR_ANGLE_DEG)
        sine = math.sin(latitude) * math.sin(declination) + math.cos(latitude) * math.cos(
            declination
        ) * math.cos(hour)
        elevation = max(math.asin(sine), math.radians(MIN_ELEVATION_DEG))
        azimuth = math.atan2(
            -math.cos(declination) * math.sin(hour),
            math.sin(declination) * math.cos(latitude)
            - math.cos(declination) * math.sin(latitude) * math.cos(hour),
        )
        return elevation, azimuth

    @property
    def day_of_year(self) -> float:
        """Day of the year, 0..365.25."""
        return (self.day + EPOCH_DAY_OF_YEAR) % YEAR_DAYS

    @property
    def northern_day(self) -> float:
        """Day of the year, shifted by half a year south of the equator."""
        return (self.day_of_year + (HALF_YEAR_DAYS if self.latitude < 0 else 0)) % 365

    @property
    def growing_year(self) -> float:
        """Year of the growing season; south of the equator a season spans two calendar years."""
        year = EPOCH_YEAR + (self.day + EPOCH_DAY_OF_YEAR) // YEAR_DAYS
        if self.latitude < 0:
            year += self.northern_day < HALF_YEAR_DAYS
        return year

    @property
    def season(self) -> float:
        """1 in the middle of the hemisphere's summer, -1 in its winter."""
        return float(season(self.latitude, self.day_of_year - EPOCH_DAY_OF_YEAR))
