from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caco_data.download.estimate import estimate
from caco_data.download.settings import (
    ClusterSettings,
    DownloadSettings,
    FetchSettings,
    SceneSettings,
)
from caco_data.sentinel2 import ALL_BANDS, RGB_BANDS
from caco_data.sources.earthengine.settings import EarthEngineSettings
from caco_data.sources.simulated.settings import SimulatedSettings
from caco_data.sources.stac.settings import StacSettings
from caco_data.types import Dtype
from tests.support.plain_source import make_dataset, outcomes

RGB = DownloadSettings(SimulatedSettings(), FetchSettings(SceneSettings()))


@pytest.mark.parametrize("bands", [RGB_BANDS, ALL_BANDS])
@pytest.mark.parametrize("dtype", ["uint16", "uint8"])
def test_estimated_bytes_match_a_data_set(
    tmp_path: Path, bands: tuple[str, ...], dtype: Dtype
) -> None:
    fetch = replace(RGB.fetch, bands=bands, dtype=dtype)
    make_dataset(str(tmp_path), outcomes(4, fetch=fetch), fetch)
    real = sum(path.stat().st_size for path in (tmp_path / "shards").iterdir())
    settings = replace(RGB, fetch=fetch, locations_per_shard=2)
    plan = estimate(4, settings, ClusterSettings())
    assert plan.shards == len(list((tmp_path / "shards").iterdir()))
    assert plan.disk_nbytes == pytest.approx(real, rel=0.04)  # tar and .npy headers, JSON


def test_requests_of_a_location() -> None:
    assert estimate(1, RGB, ClusterSettings()).min_requests == 12
    scored = replace(RGB, fetch=FetchSettings(SceneSettings(cloud_mask="cs+")))
    assert estimate(1, scored, ClusterSettings()).min_requests == 22


def test_requests_of_other_layouts() -> None:
    one = SceneSettings(periods=1, tiles_per_period=4)
    large = FetchSettings(one, ALL_BANDS, patch_px=1056)
    assert estimate(1, replace(RGB, fetch=large), ClusterSettings()).min_requests == 5
    strips = replace(RGB, source=EarthEngineSettings(), fetch=large)
    assert estimate(1, strips, ClusterSettings()).min_requests == 9


@given(st.integers(1, 10**7), st.integers(1, 100), st.none() | st.floats(1, 1000))
def test_twice_the_locations_take_twice_as_much(
    n: int, concurrency: int, rate: float | None
) -> None:
    cluster = ClusterSettings(concurrency, rate)
    less, more = (estimate(k, RGB, cluster) for k in (n, 2 * n))
    assert less.min_requests <= less.requests
    for name in ("requests", "received_nbytes", "disk_nbytes", "hours"):
        assert getattr(more, name) == pytest.approx(2 * getattr(less, name), rel=0.1)
    assert less.hours * 3600 * min(concurrency, rate or 1e9) == pytest.approx(less.requests)


def test_a_stac_service() -> None:
    settings = replace(RGB, source=StacSettings())
    rgb, every, listed = (
        estimate(100, one, ClusterSettings())
        for one in (
            settings,
            replace(settings, fetch=replace(settings.fetch, bands=ALL_BANDS)),
            replace(settings, source=StacSettings(catalog="items.parquet")),
        )
    )
    assert rgb.shared
    assert listed.requests < rgb.requests < every.requests
    # Of ten tiles: four headers, 1.13 rows of blocks of the classes, 1.26 of each band.
    assert listed.min_requests == pytest.approx(100 * 10 * (4 + 1.13 + 3 * 1.26), rel=0.01)
    # A window of 264 x 264 pixels takes 2.4 MB of a real file.
    assert listed.received_nbytes == pytest.approx(100 * 10 * 3 * 2.4e6, rel=0.1)
    assert listed.disk_nbytes == estimate(100, RGB, ClusterSettings()).disk_nbytes
