"""Split of data sets: parts that do not touch each other."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyproj import Geod

from caco_data.dataset.nearby import earth_positions, near
from caco_data.dataset.reader import open_dataset
from caco_data.dataset.repair import remedy
from caco_data.dataset.split import PARTS, Centres, apart_m, assign, read_split, write_split
from caco_data.dataset.verify import verify
from caco_data.errors import InputError
from caco_data.grid import patch_origin, to_lonlat, to_utm, utm_epsg
from caco_data.sampling.overlap import Patch, intersect, patches
from caco_data.split_settings import SplitSettings
from caco_data.storage import LocalStorage
from caco_data.types import PATCH_M
from tests.conftest import Run
from tests.support.plain_source import make_dataset, outcomes

BUFFER = PARTS.index("buffer")
GEOD = Geod(ellps="WGS84")


@st.composite
def clusters(draw: st.DrawFn) -> tuple[Centres, list[Patch]]:
    """Patches around a place, which may be at the antimeridian, at a zone's edge or far north."""
    longitude = draw(st.sampled_from([-180.0, 180.0, 179.99, 6.0, 3.0, 12.0, 0.0, 100.3]))
    latitude = draw(st.sampled_from([-79.9, -33.3, -0.01, 0.0, 45.0, 60.0, 75.0, 83.9]))
    n = draw(st.integers(2, 60))
    spread_km = draw(st.sampled_from([2.0, 8.0, 40.0, 200.0]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    east, north = rng.normal(scale=spread_km / 111, size=(2, n))
    lat = np.clip(latitude + north, -80, 84)
    lon = (longitude + east / np.cos(np.radians(lat)) + 180) % 360 - 180
    epsg = utm_epsg(lon, lat)
    left, top = patch_origin(*to_utm(lon, lat, epsg), epsg)
    centre = to_lonlat(left + PATCH_M / 2, top - PATCH_M / 2, epsg)
    return Centres(np.arange(n), *centre), patches(lon, lat, epsg)


@given(
    clusters(),
    st.sampled_from([0.0, 0.5, 3.0]),
    st.sampled_from([1.0, 3.0, 20.0, None]),
    st.integers(0, 5),
)
def test_no_two_patches_of_different_parts_touch(
    made: tuple[Centres, list[Patch]], buffer_km: float, block_km: float | None, seed: int
) -> None:
    centres, squares = made
    settings = SplitSettings(0.3, 0.3, buffer_km, block_km, seed)
    codes = assign(centres, settings)
    for i, j in combinations(np.flatnonzero(codes != BUFFER).tolist(), 2):
        if codes[i] != codes[j]:
            assert not intersect(squares[i], squares[j])
            lon, lat = centres.longitude, centres.latitude
            apart = GEOD.inv(lon[i], lat[i], lon[j], lat[j])[2]
            assert apart > PATCH_M * 2**0.5 + 1000 * buffer_km
    # A location is left out only where another part is near.
    points = earth_positions(centres.longitude, centres.latitude)
    for i in np.flatnonzero(codes == BUFFER).tolist():
        assert near(points[[i]], np.delete(points, i, 0), apart_m(settings)).all()


@given(clusters(), st.randoms(use_true_random=False))
def test_the_split_does_not_depend_on_the_order_of_the_rows(
    made: tuple[Centres, list[Patch]], random: object
) -> None:
    centres, _ = made
    order = np.random.default_rng(len(centres.location_ids)).permutation(len(centres.location_ids))
    settings = SplitSettings(0.2, 0.2, block_km=5.0)
    shuffled = Centres(
        centres.location_ids[order], centres.longitude[order], centres.latitude[order]
    )
    assert (assign(shuffled, settings) == assign(centres, settings)[order]).all()


def globe(n: int) -> Centres:
    """Points that are distributed uniformly over the globe."""
    rng = np.random.default_rng(0)
    latitude = np.degrees(
        np.arcsin(rng.uniform(np.sin(np.radians(-80)), np.sin(np.radians(84)), n))
    )
    return Centres(np.arange(n), rng.uniform(-180, 180, n), latitude)


def test_fractions_are_close_to_the_wanted_ones() -> None:
    centres = globe(20_000)
    for settings in (SplitSettings(), SplitSettings(0.3, 0.05), SplitSettings(0.0, 0.25)):
        codes = assign(centres, settings)
        found = np.bincount(codes, minlength=4) / codes.size
        wanted = [1 - settings.val - settings.test, settings.val, settings.test, 0]
        assert np.abs(found - wanted).max() < 0.02
    seeds = [assign(centres, SplitSettings(seed=seed)) for seed in (0, 1)]
    assert (seeds[0] != seeds[1]).any()


def test_a_small_region_gets_small_blocks_and_a_large_buffer_large_ones() -> None:
    rng = np.random.default_rng(1)
    region = Centres(np.arange(4000), rng.uniform(4, 7, 4000), rng.uniform(50, 53, 4000))
    found = np.bincount(assign(region, SplitSettings()), minlength=4) / 4000
    assert found[1] > 0.05
    assert found[2] > 0.05
    assert found[0] > 0.4
    wide = assign(globe(3000), SplitSettings(buffer_km=500))
    assert len(set(wide.tolist())) == 4


@given(st.integers(0, 2**32), st.sampled_from([20.0, 700.0, 30_000.0]))
def test_near_finds_what_comparing_all_pairs_finds(seed: int, distance_m: float) -> None:
    rng = np.random.default_rng(seed)
    lon = 180 + rng.normal(scale=distance_m / 50_000, size=80)
    lat = 80 + rng.normal(scale=distance_m / 200_000, size=80)
    points, others = np.split(earth_positions(lon, lat), [50])
    apart = np.linalg.norm(points[:, None] - others, axis=2)
    assert (near(points, others, distance_m) == (apart < distance_m).any(axis=1)).all()
    assert not near(points, others[:0], distance_m).any()


def test_positions_are_those_of_proj() -> None:
    from pyproj import Transformer

    lon, lat = [0.0, 180.0, -77.0, 12.0], [0.0, 84.0, -80.0, 45.0]
    expected = Transformer.from_crs(4979, 4978, always_xy=True).transform(lon, lat, [0.0] * 4)
    assert np.allclose(earth_positions(lon, lat), np.transpose(expected), atol=1e-6)


def test_settings_that_leave_nothing_for_training_are_refused() -> None:
    with pytest.raises(InputError, match="training"):
        SplitSettings(0.5, 0.5)
    with pytest.raises(InputError, match="buffer-km"):
        replace(SplitSettings(), buffer_km=-1.0)


@pytest.fixture
def split_set(tmp_path: Path) -> LocalStorage:
    """Twelve patches, each 3.9 km from the one before, in blocks of 16 km."""
    storage = make_dataset(str(tmp_path / "set"), outcomes(12), per_shard=4)
    settings = SplitSettings(0.3, 0.3, 0.0, 16.0)
    counts = write_split(storage, open_dataset(storage.root).digest, settings)
    assert sum(counts.values()) == 12
    return storage


def test_each_part_of_a_data_set_is_opened(split_set: LocalStorage) -> None:
    digest = open_dataset(split_set.root).digest
    table = read_split(split_set, digest)
    assert table["location_id"].to_pylist() == list(range(12))
    found: list[int] = []
    for name in ("train", "val", "test"):
        part = open_dataset(split_set.root, name)
        assert part.digest == digest
        ids = part.stacks().location_ids.tolist()
        own = [row["location_id"] for row in table.to_pylist() if row["split"] == name]
        assert ids == own
        assert ids
        found += ids
    assert not verify(split_set).damages


def test_a_split_of_another_state_is_refused(split_set: LocalStorage, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not split"):
        open_dataset(make_dataset(str(tmp_path / "b"), outcomes(2)).root, "train")
    with pytest.raises(InputError, match="before the data set was changed"):
        read_split(split_set, "0" * 64)
    other = make_dataset(str(tmp_path / "c"), outcomes(3))
    (tmp_path / "c" / "split.parquet").write_bytes(split_set.read("split.parquet"))
    verdict = verify(other)
    assert [damage.where for damage in verdict.damages] == ["split.parquet"]
    assert "caco-data split" in remedy(verdict)
    (tmp_path / "c" / "split.parquet").write_bytes(b"PAR1")
    assert [damage.where for damage in verify(other).damages] == ["split.parquet"]


def test_the_command_prints_the_fractions(run: Run, tmp_path: Path) -> None:
    storage = make_dataset(str(tmp_path / "set"), outcomes(12), per_shard=4)
    result = run(
        "split", storage.root, "--val", "0.3", "--test", "0.3", "--buffer-km", "0",
        "--block-km", "16",
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    names = [line.split()[0] for line in result.stdout.splitlines()]
    assert names == ["train", "val", "test", "buffer"]
    first = storage.read("split.parquet")
    again = run("split", storage.root, "--val", "0.3", "--test", "0.3", "--block-km", "3000")
    assert again.exit_code == 2
    assert "No location is left for" in again.stderr
    assert storage.read("split.parquet") == first
