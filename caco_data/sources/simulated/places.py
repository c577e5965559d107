"""Longitude and latitude of absolute pixels, to about a kilometre: enough for the climate."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from caco_data.sentinel2 import PIXEL_M
from caco_data.world.geodesy import LATITUDE_DEGREE_MEAN_M

UTM_FALSE_EASTING_M = 500_000


def longitude_latitude(
    epsg: int, x: NDArray[np.floating], y: NDArray[np.floating]
) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Return longitude and latitude of absolute pixels of a UTM zone, degrees."""
    latitude = -y * PIXEL_M / LATITUDE_DEGREE_MEAN_M
    meridian = 6.0 * (epsg % 100) - 183.0
    east = x * PIXEL_M - UTM_FALSE_EASTING_M
    return meridian + east / (LATITUDE_DEGREE_MEAN_M * np.cos(np.radians(latitude))), latitude
