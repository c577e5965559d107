"""Own land test and GeoParquet code compared with shapely and geopandas.

`python -m benchmarks.bench_world` prints times and ratios. Both sides of a ratio are measured in
the same run, and their results are compared.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import timeit
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import shapely
from numpy.typing import NDArray

from caco_data.grid import patch_corners, utm_epsg
from caco_data.sampling.location_files import write_locations
from caco_data.sampling.locations import sample_locations
from caco_data.sampling.settings import SampleSettings
from caco_data.world import land
from caco_data.world.cities import load_cities
from caco_data.world.geoparquet import values_of
from caco_data.world.land_mask import LandMask

N = 100_000
Floats = NDArray[np.float64]
Masks = NDArray[np.bool_]


def compare(
    label: str, own: Callable[[], object], library: Callable[[], object], name: str
) -> None:
    """Print the shortest of five times of each, run in turn."""
    own_s, library_s = np.min(
        [[timeit.timeit(f, number=1) for f in (own, library)] for _ in range(5)], axis=0
    )
    print(f"{label:42} own {1000 * own_s:5.0f} ms  {name:23} {1000 * library_s:5.0f} ms"
          f"  {library_s / own_s:5.1f} x")  # fmt: skip


def points_near_cities() -> tuple[Floats, Floats]:
    """Longitude and latitude (N,), degrees: about 5 km around random cities."""
    generator = np.random.default_rng(0)
    cities = load_cities(top=10_000)
    city = generator.integers(0, len(cities), N)
    east, north = generator.normal(0, 5 / 111, (2, N))
    longitude = cities.longitude[city] + east / np.cos(np.radians(cities.latitude[city]))
    return (longitude + 180) % 360 - 180, cities.latitude[city] + north


def load_cells() -> LandMask:
    return land.mask_of(pq.ParquetFile(land.BUNDLED).read(), land.CELL_DEG)


def load_pieces() -> NDArray[Any]:
    """The pieces of the bundled land as shapely polygons."""
    polygons = pq.ParquetFile(land.BUNDLED).read()["geometry"].combine_chunks()
    rings, points = polygons.values, polygons.values.values
    xy = np.stack([values_of(points.field("x")), values_of(points.field("y"))], axis=1)
    offsets = values_of(rings.offsets), values_of(polygons.offsets)
    return np.asarray(shapely.from_ragged_array(shapely.GeometryType.POLYGON, xy, offsets))


def load_tree() -> shapely.STRtree:
    tree = shapely.STRtree(load_pieces())  # preparing the pieces costs more than it saves
    tree.query(shapely.Point(0, 0))  # the tree is built at the first query
    return tree


def tree_contains(tree: shapely.STRtree, longitude: Floats, latitude: Floats) -> Masks:
    point, piece = tree.query(shapely.points(longitude, latitude))
    inside = shapely.contains_xy(tree.geometries[piece], longitude[point], latitude[point])
    return np.isin(np.arange(longitude.size), point[inside])


def tree_intersects(tree: shapely.STRtree, longitudes: Floats, latitudes: Floats) -> Masks:
    patches = shapely.polygons(np.stack([longitudes, latitudes], axis=-1))
    patch, piece = tree.query(patches)
    meets = shapely.intersects(tree.geometries[piece], patches[patch])
    return np.isin(np.arange(len(patches)), patch[meets])


def bench_land() -> None:
    longitude, latitude = points_near_cities()
    points = longitude, latitude
    cells, tree = load_cells(), load_tree()
    own = cells.contains(*points)
    assert (own == tree_contains(tree, *points)).all()
    union = shapely.union_all(load_pieces())
    shapely.prepare(union)
    label = f"land test, {N:,} points"
    compare(label, lambda: cells.contains(*points), lambda: tree_contains(tree, *points),
            "shapely STRtree")  # fmt: skip
    compare(label, lambda: cells.contains(*points), lambda: shapely.contains_xy(union, *points),
            "shapely prepared union")  # fmt: skip
    compare(f"{label}, with loading", lambda: load_cells().contains(*points),
            lambda: tree_contains(load_tree(), *points), "shapely STRtree")  # fmt: skip

    sea = np.flatnonzero(~own)  # the points for which the sampler tests the patch
    corners = patch_corners(longitude[sea], latitude[sea], utm_epsg(longitude[sea], latitude[sea]))
    assert (cells.touches(*corners) == tree_intersects(tree, *corners)).all()
    label = f"shore test, {sea.size:,} patches"
    compare(label, lambda: cells.touches(*corners), lambda: tree_intersects(tree, *corners),
            "shapely STRtree")  # fmt: skip
    # The cells are loaded for the land test already; the polygons of shapely are not.
    compare(f"{label}, with loading", lambda: cells.touches(*corners),
            lambda: tree_intersects(load_tree(), *corners), "shapely STRtree")  # fmt: skip


def process(code: str) -> Callable[[], object]:
    """Whole Python process."""
    return lambda: subprocess.run([sys.executable, "-c", code], check=True)


def bench_geoparquet() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path, copy = Path(folder) / "locations.parquet", Path(folder) / "copy.parquet"
        write_locations(sample_locations(SampleSettings(), N), path)
        own = "from caco_data.sampling.location_files import read_locations, write_locations\n"
        own += f"table = read_locations({str(path)!r})\n"
        library = f"import geopandas\ntable = geopandas.read_parquet({str(path)!r})\n"
        label = f"process: read {N:,} locations"
        compare(label, process(own), process(library), "geopandas")
        own += f"write_locations(table, {str(copy)!r}, overwrite=True)"
        library += f"table.to_parquet({str(copy)!r})"
        compare(f"{label} and write", process(own), process(library), "geopandas")


def main() -> None:
    bench_land()
    bench_geoparquet()


if __name__ == "__main__":
    main()
