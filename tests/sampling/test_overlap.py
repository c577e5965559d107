"""Patches that intersect, against polygons in a common projection."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from pyproj import Transformer

from caco_data.grid import to_lonlat, utm_epsg
from caco_data.sampling.overlap import Patch, PlacedPatches, intersect, patches
from caco_data.types import PATCH_M


def patch_at(longitude: float, latitude: float) -> Patch:
    lon, lat = np.array([longitude]), np.array([latitude])
    return patches(lon, lat, utm_epsg(lon, lat))[0]


def outline(patch: Patch, centre: tuple[float, float]) -> shapely.Polygon:
    """The patch with densified sides in an azimuthal projection around `centre`."""
    side = np.linspace(0, PATCH_M, 50)
    zero, one = np.zeros(50), np.full(50, PATCH_M)
    x = patch.left_m + np.concatenate([side, one, side[::-1], zero])
    y = patch.top_m - np.concatenate([zero, side, one, side[::-1]])
    plane = f"+proj=aeqd +lon_0={centre[0]} +lat_0={centre[1]} +ellps=WGS84"
    lons, lats = to_lonlat(x, y, patch.epsg)
    return shapely.Polygon(
        np.stack(Transformer.from_crs(4326, plane, always_xy=True).transform(lons, lats), axis=1)
    )


@given(
    st.sampled_from([0.0, 6.0, 12.0, 21.0, 180.0, 3.0]),
    st.floats(-79, 83.5),
    st.tuples(*[st.floats(-6_000, 6_000)] * 4),
)
def test_intersections_are_exact_across_zones(
    meridian: float, latitude: float, offset: tuple[float, float, float, float]
) -> None:
    points = []
    for east, north in (offset[:2], offset[2:]):
        lat = latitude + north / 111_000
        lon = meridian + east / 111_000 / np.cos(np.radians(lat))
        points.append(patch_at((lon + 180) % 360 - 180, lat))
    one, other = points
    shared = outline(one, (meridian, latitude)).intersection(outline(other, (meridian, latitude)))
    # Straight sides in degrees deviate by less than a metre; snapped edges differ by 60 m.
    if shared.area > 4 * PATCH_M or shared.is_empty:
        assert intersect(one, other) == (not shared.is_empty)
    assert intersect(one, other) == intersect(other, one)


@pytest.mark.parametrize("place", [(2.2, 41.4), (0.001, 60.0), (180.0, -16.5), (10.0, 0.0)])
def test_placed_patches_do_not_intersect(place: tuple[float, float]) -> None:
    """The cells find every pair that an exhaustive comparison finds."""
    generator = np.random.default_rng(5)
    placed = PlacedPatches()
    kept: list[Patch] = []
    for east, north in generator.normal(0, 0.08, (300, 2)):
        longitude = (place[0] + east / np.cos(np.radians(place[1])) + 180) % 360 - 180
        patch = patch_at(longitude, place[1] + north)
        clear = not any(intersect(patch, other) for other in kept)
        assert placed.place_first([patch]) == (0 if clear else None)
        if clear:
            kept.append(patch)
    assert 20 < len(kept) < 300


def test_first_candidate_without_intersection() -> None:
    placed = PlacedPatches()
    first, far = patch_at(2.2, 41.4), patch_at(2.3, 41.4)
    assert placed.place_first([first]) == 0
    assert placed.place_first([first, far]) == 1
    assert placed.place_first([first, far]) is None
    assert placed.place_first([]) is None
