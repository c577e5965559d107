"""Items of the test server's collections, made from the scenes of an image source."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from caco_data.sentinel2 import ALL_BANDS, SCL_BAND
from caco_data.sources.base import ImageSource
from caco_data.sources.geojson import read_footprint, region
from caco_data.sources.stac.items import band_names
from caco_data.sources.stac.mgrs import TileSquare, parse_name
from caco_data.types import Footprint, Scene
from tests.support.stac_server.cogs import OFFSET_DN, Cog, square_of, tile_name


@dataclass(frozen=True)
class Product:
    """How a scene is published in a collection."""

    collection: str
    offset: bool
    """Whether the DN of the files have the offset."""
    flag: bool | None = None
    """The flag of Earth Search; None if absent."""
    projection: str = "proj:epsg"
    """Property with the CRS: `proj:epsg`, `proj:code`, or none if empty."""
    keys: int = 0
    """Style of the asset keys: 0 `red`, 1 `B04`, 2 `B4`, 3 `B04_10m`."""
    baseline: str = ""
    """Baseline that replaces that of the scene."""
    change: Callable[[dict[str, Any]], None] | None = None
    """Changes the finished item."""


def earth_search(scene: Scene) -> tuple[Product, ...]:
    """Publish scenes as Earth Search does: most of them in both collections."""
    added = float(scene.baseline) >= 4
    old = Product("sentinel-2-l2a", offset=False, flag=added, keys=0)
    if scene.acquired.toordinal() % 3 == 0:
        return (old,)
    new = Product("sentinel-2-c1-l2a", offset=True, projection="proj:code", baseline="05.00")
    return (new,) if scene.acquired.toordinal() % 3 == 1 else (old, new)


def planetary_computer(scene: Scene) -> tuple[Product, ...]:
    """Publish scenes as the Planetary Computer does: with the offset from baseline 04.00 on."""
    return (Product("sentinel-2-l2a", float(scene.baseline) >= 4, keys=1),)


class Catalogue:
    """Items and files.

    Parameters
    ----------
    source : ImageSource
        Source of the scenes.
    publish : callable
        Returns the products of a scene.
    block : int
        Side of the files' blocks, pixels.
    """

    def __init__(
        self,
        source: ImageSource,
        publish: Callable[[Scene], tuple[Product, ...]] = earth_search,
        block: int = 512,
    ) -> None:
        self._source = source
        self.publish = publish
        self._block = block
        self._scenes: dict[str, Scene] = {}
        self._listed = lru_cache(maxsize=256)(self._list)

    def _list(self, footprint: Footprint, start: datetime, end: datetime) -> list[Scene]:
        scenes = self._source.list_scenes(footprint, start, end)
        return sorted(scenes, key=lambda scene: (scene.acquired, scene.image_id))

    def search(
        self, query: dict[str, Any], start: datetime, end: datetime
    ) -> list[tuple[Scene, Product]]:
        """Return the products in an area and an interval, newest first."""
        tiles = [
            name.removeprefix("MGRS-")
            for condition in query.get("query", {}).values()
            for name in condition["in"]
        ]
        found = []
        for scene in self._listed(footprint_of_query(query), start, end):
            if tiles and tile_name(scene) not in tiles:
                continue
            self._scenes[scene.image_id] = scene
            found += [
                (scene, product)
                for product in self.publish(scene)
                if product.collection in query["collections"]
            ]
        return found[::-1]

    def cog(self, image_id: str, collection: str, band: str) -> Cog:
        """Return a file; LookupError when there is none."""
        scene = self._scenes[image_id]
        product = next(p for p in self.publish(scene) if p.collection == collection)
        return Cog(scene, band, OFFSET_DN if product.offset else 0, self._block)

    def item(self, scene: Scene, product: Product, base_url: str) -> dict[str, Any]:
        square, tile = square_of(scene), tile_name(scene)
        folder = f"{base_url}/files/{product.collection}/{scene.image_id}"
        baseline = product.baseline or scene.baseline
        properties = {
            "datetime": scene.acquired.isoformat().replace("+00:00", "Z"),
            "platform": "sentinel-2a",
            "eo:cloud_cover": scene.cloud_pct,
            "grid:code": f"MGRS-{tile}",
            "s2:mgrs_tile": tile,
            "s2:processing_baseline": baseline,
            "s2:datatake_id": f"GS2A_{scene.image_id[:15]}_000001_N{baseline}",
        }
        if product.projection:
            code = square.epsg if product.projection == "proj:epsg" else f"EPSG:{square.epsg}"
            properties[product.projection] = code
        lons, lats = scene.footprint.longitudes, scene.footprint.latitudes
        if product.flag is not None:
            properties["earthsearch:boa_offset_applied"] = product.flag
        item: dict[str, Any] = {
            "type": "Feature",
            "stac_version": "1.0.0",
            "id": f"{scene.image_id}_{product.collection}",
            "collection": product.collection,
            "geometry": _outline(scene.footprint),
            "bbox": [min(lons), min(lats), max(lons), max(lats)],
            "properties": properties,
            "links": [],
            "assets": {
                band_names(band)[product.keys]: {
                    "href": f"{folder}/{band}.tif",
                    "raster:bands": [{"offset": -0.1, "scale": 0.0001}],
                }
                for band in (*ALL_BANDS, SCL_BAND)
            },
        }
        if product.change:
            product.change(item)
        return item


@lru_cache(maxsize=1024)
def _outline(footprint: Footprint) -> dict[str, Any]:
    return region(footprint)


def footprint_of_query(query: dict[str, Any]) -> Footprint:
    """Return the area of a search: its geometry, its box, or the tile that it names."""
    if "intersects" in query:
        geometry = query["intersects"]
        if geometry["type"] == "MultiPolygon":  # a tile across the antimeridian
            ring = [
                (x + 360 if x < 0 else x, y)
                for polygon in geometry["coordinates"]
                for x, y in polygon[0]
            ]
            west, east = min(p[0] for p in ring), max(p[0] for p in ring)
            south, north = min(p[1] for p in ring), max(p[1] for p in ring)
            return Footprint((west, east, east, west), (south, south, north, north))
        return read_footprint(geometry)
    for condition in query.get("query", {}).values():
        for name in condition.get("in", []):
            return square_named(name.removeprefix("MGRS-")).footprint
    raise LookupError("the search has no area")


@lru_cache(maxsize=256)
def square_named(name: str) -> TileSquare:
    """Return the tile with an MGRS name."""
    parsed = parse_name(name)
    assert parsed is not None
    rows = range(-95, 1) if parsed[1] > 32700 else range(95)
    for column in range(1, 9):
        for row in rows:
            square = TileSquare(parsed[1], column, row)
            if name in square.names:
                return square
    raise LookupError(name)
