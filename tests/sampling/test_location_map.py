"""The map: shows land, sea and points, of the world or of a part of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib import colors
from matplotlib.image import imread

from caco_data.sampling.location_map import plot_map
from caco_data.sampling.locations import sample_locations
from caco_data.sampling.settings import SampleSettings


@pytest.mark.parametrize(
    ("settings", "n", "landscape"),
    [
        (SampleSettings(), 3_000, True),
        (SampleSettings(within="2,41,2.2,42.5"), 30, False),
        (SampleSettings(strategy="uniform", within="175,-20,-178,-15"), 40, True),
        (SampleSettings(), 1, None),
    ],
)
def test_map_shows_sea_land_and_points(
    tmp_path: Path, settings: SampleSettings, n: int, landscape: bool | None
) -> None:
    path = tmp_path / "map.png"
    plot_map(sample_locations(settings, n), path)
    picture = (imread(path)[..., :3] * 255).round().astype(int)
    height, width, _ = picture.shape
    assert 1_000 < max(height, width) < 3_000
    if landscape is not None:
        assert (width > height) == landscape

    def share(colour: str) -> float:
        wanted = (np.array(colors.to_rgb(colour)) * 255).round()
        return float((np.abs(picture - wanted).max(axis=-1) <= 2).mean())

    assert share("#dcdcd4") > 0.005  # land
    if n > 1:
        assert share("#f3f7fa") > 0.05  # sea
    saturated = np.ptp(picture, axis=-1) > 60
    assert saturated.sum() > n / 2
