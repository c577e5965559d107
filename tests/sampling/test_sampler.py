"""The sampler: distribution of the points, stable prefixes, limits of land and region."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import geopandas as gpd
import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pyproj import Geod
from scipy.stats import kstest

from caco_data.errors import InputError
from caco_data.grid import LATITUDE_MAX, LATITUDE_MIN, patch_corners, utm_epsg
from caco_data.sampling.candidates import Points, World
from caco_data.sampling.overlap import intersect, patches
from caco_data.sampling.sampler import sample_points
from caco_data.sampling.settings import SampleSettings
from caco_data.world import land
from caco_data.world.cities import Cities, load_cities
from caco_data.world.land import load_land, mask_of
from caco_data.world.land_mask import LandMask
from caco_data.world.region import Region, parse_region
from caco_data.world.subdivide import subdivide

GEOD = Geod(ellps="WGS84")


@cache
def all_land() -> LandMask:
    return mask_of(subdivide([shapely.box(-180, -90, 180, 90)], 2.0), 2.0)


def city_at(longitude: float, latitude: float) -> Cities:
    name = np.array(["here"], dtype=object)
    return Cities(np.array([1]), name, name, np.array([5]), np.array([longitude]),
                  np.array([latitude]))  # fmt: skip


@cache
def world(top: int = 10_000, within: str | None = None) -> World:
    region = Region() if within is None else parse_region(within)
    cities = load_cities(top=top)
    near = region.within_reach(cities.longitude, cities.latitude, 30_000.0)
    return World(cities.take(near), load_land(), region)


def offsets(place: World, points: Points) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """East and north of the city, metres, by the inverse geodesic."""
    city = points["city"]
    azimuth, _, metres = GEOD.inv(
        place.cities.longitude[city], place.cities.latitude[city],
        points["longitude"], points["latitude"],
    )  # fmt: skip
    return metres * np.sin(np.radians(azimuth)), metres * np.cos(np.radians(azimuth))


@pytest.mark.parametrize("latitude", [-54.8, -20.0, 0.0, 30.0, 50.0, 65.0, 67.5, 70.0, 80.0])
@pytest.mark.parametrize("longitude", [25.0, 180.0])
def test_offsets_are_an_exact_gaussian_in_metres(longitude: float, latitude: float) -> None:
    place = World(city_at(longitude, latitude), all_land(), Region())
    points = sample_points(SampleSettings(seed=4, sigma_km=5), place, 4_000)
    east, north = offsets(place, points)
    np.testing.assert_allclose(np.hypot(east, north), points["city_distance_m"], rtol=1e-6)
    assert kstest(points["city_distance_m"] / 5_000, "rayleigh").pvalue > 1e-3
    # Both axes have the same spread and are uncorrelated.
    assert kstest(east / 5_000, "norm").pvalue > 1e-3
    assert kstest(north / 5_000, "norm").pvalue > 1e-3
    assert abs(np.corrcoef(east, north)[0, 1]) < 0.06


def test_the_tests_detect_offsets_in_degrees() -> None:
    """The predecessors' offsets, kilometres over 111 in degrees of both axes, at 65 N."""
    generator = np.random.default_rng(0)
    lon = 25 + generator.normal(0, 5 / 111, 4_000)
    lat = 65 + generator.normal(0, 5 / 111, 4_000)
    _, _, metres = GEOD.inv(np.full(4_000, 25.0), np.full(4_000, 65.0), lon, lat)
    assert kstest(metres / 5_000, "rayleigh").pvalue < 1e-6


@pytest.mark.parametrize(("strategy", "sigma_m"), [("caco", 5_000), ("seco", 50_000)])
def test_sigma_of_the_strategies(strategy: str, sigma_m: float) -> None:
    place = World(city_at(10.0, 50.0), all_land(), Region())
    points = sample_points(SampleSettings(strategy=strategy), place, 4_000)  # type: ignore[arg-type]
    assert kstest(points["city_distance_m"] / sigma_m, "rayleigh").pvalue > 1e-3


def test_cities_are_chosen_uniformly() -> None:
    points = sample_points(SampleSettings(), world(), 100_000)
    assert np.bincount(points["city"], minlength=10_000).std() == pytest.approx(10**0.5, rel=0.05)
    # Coastal cities have slightly fewer: rejected points are placed around other cities.
    assert kstest(points["city"] / 10_000, "uniform").pvalue > 1e-4


def test_uniform_points_have_equal_density_per_area() -> None:
    place = World(city_at(0, 0), all_land(), Region())
    points = sample_points(SampleSettings(strategy="uniform"), place, 20_000)
    south, north = np.sin(np.radians([LATITUDE_MIN, LATITUDE_MAX]))
    height = (np.sin(np.radians(points["latitude"])) - south) / (north - south)
    assert kstest(height, "uniform").pvalue > 1e-3
    assert kstest((points["longitude"] + 180) / 360, "uniform").pvalue > 1e-3
    assert (points["city"] == -1).all()


@pytest.mark.parametrize("strategy", ["caco", "seco", "uniform"])
def test_every_patch_touches_land(strategy: str) -> None:
    points = sample_points(SampleSettings(strategy=strategy), world(), 4_000)  # type: ignore[arg-type]
    lon, lat = points["longitude"], points["latitude"]
    lons, lats = patch_corners(lon, lat, utm_epsg(lon, lat))
    shapes = gpd.read_parquet(land.BUNDLED).geometry.values
    touching: set[int] = set()
    for turn in (-360.0, 0.0, 360.0):
        moved = shapely.STRtree(shapely.polygons(np.stack([lons + turn, lats], axis=-1)))
        touching |= set(moved.query(shapes, predicate="intersects")[1].tolist())
    assert touching == set(range(4_000))
    if strategy == "seco":
        assert (points["redraws"] > 0).any()


def test_only_patches_at_sea_are_rejected() -> None:
    """On a straight coast, points up to half a patch off the shore are accepted."""
    shore = mask_of(subdivide([shapely.box(-20, -20, 0, 20)], 0.25), 0.25)
    place = World(city_at(0.0, 0.0), shore, Region())
    points = sample_points(SampleSettings(seed=2), place, 5_000)
    east, _ = offsets(place, points)
    assert 1_250 < east.max() < 1_350  # half a patch and at most 30 m of snapping
    assert (east > 0).mean() > 0.1
    free = sample_points(SampleSettings(seed=2), replace(place, land=all_land()), 5_000)
    first = points["redraws"] == 0
    np.testing.assert_array_equal(points[first], free[first])
    assert offsets(place, free[~first])[0].min() > 1_290  # only patches at sea were rejected


@pytest.mark.parametrize("longitude", [179.99, -180.0, 180.0, -179.99])
def test_offsets_across_the_antimeridian(longitude: float) -> None:
    place = World(city_at(longitude, -16.5), all_land(), Region())
    points = sample_points(SampleSettings(), place, 500)
    assert (abs(points["longitude"]) <= 180).all()
    assert (points["longitude"] > 0).any()
    assert (points["longitude"] < 0).any()
    assert np.hypot(*offsets(place, points)).max() < 25_000


def test_land_on_the_other_side_of_the_antimeridian() -> None:
    islet = mask_of(subdivide([shapely.box(-180, 10, -179.99, 10.01)], 0.25), 0.25)
    place = World(city_at(179.995, 10.005), islet, Region())
    points = sample_points(SampleSettings(sigma_km=0.5), place, 200)
    assert (points["longitude"] > 0).sum() > 50


@pytest.mark.parametrize("latitude", [83.99, -79.99])
def test_latitudes_are_limited_to_utm(latitude: float) -> None:
    place = World(city_at(20.0, latitude), all_land(), Region())
    points = sample_points(SampleSettings(), place, 500)
    assert points["latitude"].max() <= LATITUDE_MAX
    assert points["latitude"].min() >= LATITUDE_MIN
    assert (points["redraws"] > 0).any()


@pytest.mark.parametrize("latitude", [90.0, -90.0])
def test_a_city_at_a_pole_is_an_error(latitude: float) -> None:
    with pytest.raises(InputError, match="only 0 of the last"):
        sample_points(SampleSettings(), World(city_at(0.0, latitude), all_land(), Region()), 20)


@given(
    st.integers(1, 60),
    st.integers(61, 400),
    st.integers(0, 2**64 - 1),
    st.sampled_from(["caco", "seco", "uniform"]),
    st.sampled_from([None, "-10,35,5,45", "170,-50,-170,-10"]),
    st.booleans(),
)
@hypothesis_settings(max_examples=30)
def test_a_longer_table_begins_with_the_shorter(
    few: int, many: int, seed: int, strategy: str, within: str | None, no_overlap: bool
) -> None:
    chosen = SampleSettings(
        seed=seed,
        strategy=strategy,  # type: ignore[arg-type]
        within=within,
        no_overlap=no_overlap,
    )
    shorter = sample_points(chosen, world(within=within), few)
    longer = sample_points(chosen, world(within=within), many)
    assert longer[:few].tobytes() == shorter.tobytes()
    assert shorter.size == few
    assert longer.size == many


@pytest.mark.parametrize("no_overlap", [False, True])
def test_a_longer_table_begins_with_the_shorter_across_chunks(no_overlap: bool) -> None:
    chosen = SampleSettings(seed=9, no_overlap=no_overlap)
    few, many = (1_030, 2_100) if no_overlap else (16_390, 33_000)
    longer = sample_points(chosen, world(), many)
    np.testing.assert_array_equal(longer[:few], sample_points(chosen, world(), few))
    assert np.unique(longer["longitude"]).size == many  # no row repeats the numbers of another


def test_other_seeds_give_other_points() -> None:
    one, other = (sample_points(SampleSettings(seed=seed), world(), 100) for seed in (1, 2))
    assert not np.isin(one["longitude"], other["longitude"]).any()


@pytest.mark.parametrize("within", ["2,41,2.6,41.7", "5.5,58,6.5,62"])
def test_no_pair_of_patches_overlaps(within: str) -> None:
    place = world(34_006, within)
    n = 60
    points = sample_points(SampleSettings(no_overlap=True, within=within), place, n)
    lon, lat = points["longitude"], points["latitude"]
    there = patches(lon, lat, utm_epsg(lon, lat))
    assert not any(intersect(there[i], there[j]) for i in range(n) for j in range(i))
    # A row without a conflict is the same as without the rule.
    free = sample_points(SampleSettings(within=within), place, n)
    same = points["redraws"] == free["redraws"]
    np.testing.assert_array_equal(points[same], free[same])
    assert same.any()
    assert (points["redraws"][~same] > free["redraws"][~same]).all()


@pytest.mark.parametrize("strategy", ["caco", "uniform"])
def test_points_are_within_the_region(strategy: str) -> None:
    within = "170,-50,-170,-10"
    points = sample_points(
        SampleSettings(strategy=strategy, within=within),  # type: ignore[arg-type]
        world(within=within),
        300,
    )
    assert ((points["longitude"] >= 170) | (points["longitude"] <= -170)).all()
    assert ((points["latitude"] >= -50) & (points["latitude"] <= -10)).all()


def test_too_few_usable_points_are_an_error() -> None:
    sea = "-40,20,-35,22"
    with pytest.raises(InputError, match=r"No city is near the region.*--within -40,20,-35,22"):
        sample_points(SampleSettings(within=sea), world(within=sea), 5)
    with pytest.raises(InputError, match=r"only 0 of the last .*Enlarge the region"):
        sample_points(SampleSettings(strategy="uniform", within=sea), world(within=sea), 5)
    tight = "2.1,41.35,2.16,41.4"
    with pytest.raises(InputError, match=r"Could not place enough.*leave out --no-overlap"):
        sample_points(SampleSettings(within=tight, no_overlap=True), world(within=tight), 50)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"seed": -1}, "--seed -1"),
        ({"seed": 2**64}, "seed"),
        ({"sigma_km": 0}, "--sigma-km 0"),
        ({"sigma_km": -3}, "--sigma-km -3"),
        ({"sigma_km": float("nan")}, "--sigma-km nan"),
        ({"sigma_km": float("inf")}, "--sigma-km inf"),
        ({"sigma_km": 5, "strategy": "uniform"}, "no sigma"),
        ({"strategy": "best"}, "--strategy best"),
        ({"top_cities": 0}, "--top-cities 0"),
    ],
)
def test_invalid_settings(bad: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        SampleSettings(**bad)  # type: ignore[arg-type]
