"""Write the pictures of docs/simulated.md: five tiles of the simulated archive in each.

python -m tests.support.simulated_pictures [FOLDER]
"""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from caco_data.sentinel2 import RGB_BANDS
from tests.support.image_statistics import Floats
from tests.support.simulated_measures import clear
from tests.support.simulated_tiles import day, grid_at, scenes_of, source

#: Longitude, latitude, year and month of the tiles of each picture.
Tiles = tuple[tuple[float, float, int, int], ...]
PICTURES: dict[str, Tiles] = {
    "fields": tuple(
        (5.3, 52.1, *month) for month in ((2019, 4), (2019, 7), (2019, 9), (2020, 7), (2023, 7))
    ),
    "change": tuple((31.35, 29.85, year, 6) for year in (2018, 2019, 2020, 2022, 2024)),
    "water": tuple(
        (2.04, 43.0, *month) for month in ((2019, 3), (2019, 6), (2019, 9), (2020, 3), (2020, 8))
    ),
    "forest": tuple((19.5, 49.5, 2019, month) for month in (3, 5, 7, 10, 11)),
    "regions": (
        (2.4, 48.8, 2020, 7), (-5.0, 37.5, 2020, 7), (17.0, 52.3, 2020, 7), (2.2, 41.42, 2020, 7),
        (77.2, 28.7, 2020, 11),
    ),
}  # fmt: skip
#: The place and year of the cloudy scenes, and the cloud covers that the scenes are closest to.
CLOUDY, CLOUD_PCT = (5.3, 52.1, 2020), (15, 25, 35, 45, 60)
#: DN shown as white; pixels between two tiles.
WHITE_DN, GAP_PX = 2750.0, 4


def picture(tiles: list[Floats]) -> NDArray[np.uint8]:
    """Return tiles of red, green and blue DN, (3, H, W) each, beside each other, (H, W, 3)."""
    images = [np.clip(tile.transpose(1, 2, 0) / WHITE_DN * 255, 0, 255) for tile in tiles]
    gap = np.full((images[0].shape[0], GAP_PX, 3), 255.0)
    parts = [part for image in images for part in (image, gap)]
    return np.concatenate(parts[:-1], axis=1).astype(np.uint8)


def clear_tile(longitude: float, latitude: float, year: int, month: int) -> Floats:
    """Return the first clear tile of two months, red, green and blue DN, (3, H, W)."""
    start = day(year, month)
    grid = grid_at(longitude, latitude)
    return next(clear(grid, start, start + timedelta(days=60), 1, RGB_BANDS)).bands


def cloudy_tiles() -> list[Floats]:
    """Return a place in scenes of several cloud covers, red, green and blue DN."""
    longitude, latitude, year = CLOUDY
    grid = grid_at(longitude, latitude)
    scenes = scenes_of(grid, day(year, 4), day(year, 11))
    chosen = [min(scenes, key=lambda s: abs(s.cloud_pct - percent)) for percent in CLOUD_PCT]
    return [source().read_tile(scene, grid, RGB_BANDS).astype(np.float64) for scene in chosen]


def main() -> None:
    """Write the pictures to a folder."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "docs")
    for name, tiles in PICTURES.items():
        shown = picture([clear_tile(*tile) for tile in tiles])
        Image.fromarray(shown).save(folder / f"simulated_{name}.png", optimize=True)
    clouds = Image.fromarray(picture(cloudy_tiles()))
    clouds.save(folder / "simulated_clouds.png", optimize=True)


if __name__ == "__main__":
    main()
