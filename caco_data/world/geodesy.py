"""Lengths of a degree on the WGS 84 ellipsoid, each with its error.

For search radii and for the simulated archive: its scenes and pixels depend on the exact values.
Positions and distances that must be accurate are computed by PROJ (`caco_data.grid`, `Geod`).
"""

from __future__ import annotations

#: Degree of latitude at the equator, where it is shortest (110,574.3 m): a lower bound everywhere;
#: at most 1 % too short (111,694 m at the poles).
LATITUDE_DEGREE_MIN_M = 110_574.0
#: Mean degree of latitude from the equator to 60 degrees (110,901.2 m). A UTM northing divided by
#: it is the latitude to within 0.1 degrees, on the zone's central meridian and up to 80 degrees.
LATITUDE_DEGREE_MEAN_M = 110_900.0
#: Degree of longitude at the equator (111,319.5 m). Multiplied by the cosine of the latitude it is
#: at most 0.34 % too short at other latitudes; as a degree of latitude it is within 0.7 %.
LONGITUDE_DEGREE_M = 111_320.0
