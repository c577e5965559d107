"""A static STAC catalogue of exported GeoTIFF files, and the same items as GeoParquet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from caco_data.dataset.layout import bands_by_pixel
from caco_data.dataset.reader import Dataset
from caco_data.dataset.tiles import TileRow, tile_rows
from caco_data.errors import InputError
from caco_data.exchange.geotiff import folder_name, tile_name
from caco_data.grid import to_lonlat, unwrap
from caco_data.sentinel2 import CENTRE_NM, SCL_BAND

if TYPE_CHECKING:
    import pystac

ITEMS = "items.parquet"


def write_catalog(dataset: Dataset, out: Path, ids: Sequence[int]) -> None:
    """Write `collection.json`, one item per tile, and `items.parquet`.

    Parameters
    ----------
    dataset : Dataset
        The data set.
    out : Path
        Folder with the GeoTIFF files of the locations.
    ids : sequence of int
        The locations.

    Raises
    ------
    InputError
        When pystac is not installed.
    """
    try:
        import pystac
    except ImportError as error:
        raise InputError(
            "pystac is not installed", "extra [exchange]", "Run: pip install 'caco-data[exchange]'"
        ) from error
    items = list(_items(dataset, ids))
    source = dataset.meta.get("source", {})
    times = [item.datetime for item in items if item.datetime]
    boxes = np.array([item.bbox for item in items])
    box = [*boxes[:, :2].min(0).tolist(), *boxes[:, 2:].max(0).tolist()]
    collection = pystac.Collection(
        id=f"caco-data-{dataset.digest[:12]}",
        description=f"Sentinel-2 tiles of {len(ids)} locations, made with caco-data from "
        f"{source.get('name', 'an unknown source')}: {source.get('collection', '')}",
        extent=pystac.Extent(
            pystac.SpatialExtent([box]), pystac.TemporalExtent([[min(times), max(times)]])
        ),
        license="other",
        href=str(out / "collection.json"),
    )
    for item in items:
        folder = out / item.properties["caco:folder"]
        item.set_self_href(str(folder / f"{item.id.split('-', 1)[1]}.json"))
        collection.add_link(pystac.Link("item", item, "application/geo+json"))
        item.set_collection(collection)
        item.set_root(collection)
        item.set_parent(collection)
    collection.set_root(collection)
    for item in items:
        item.save_object(include_self_link=False)
    collection.save_object(include_self_link=False)
    _write_parquet(items, out / ITEMS)


def _items(dataset: Dataset, ids: Sequence[int]) -> Iterator[pystac.Item]:
    for location_id in ids:
        for row in tile_rows(dataset, location_id):
            yield _item(dataset, location_id, row)


def _item(dataset: Dataset, location_id: int, row: TileRow) -> pystac.Item:
    import pystac

    ring = patch_ring(row, dataset.layout.patch_m)
    longitudes, latitudes = zip(*ring, strict=True)
    finest = min(bands_by_pixel(dataset.bands))
    side = dataset.layout.patch_m // finest
    left, top = row.transform[2], row.transform[5]
    item = pystac.Item(
        id=f"{folder_name(location_id)}-{tile_name(row)}",
        geometry={"type": "Polygon", "coordinates": [ring]},
        bbox=[min(longitudes), min(latitudes), max(longitudes), max(latitudes)],
        datetime=row.acquired,
        properties={
            "platform": "sentinel-2", "instruments": ["msi"], "gsd": finest,
            "eo:cloud_cover": row.cloud_pct, "proj:code": row.crs,
            "proj:shape": [side, side], "proj:transform": [finest, 0, left, 0, -finest, top],
            "caco:location_id": location_id, "caco:period": row.period, "caco:t": row.t,
            "caco:clear_fraction": row.clear_fraction, "caco:image_id": row.image_id,
            "caco:folder": folder_name(location_id),
        },
        stac_extensions=[
            "https://stac-extensions.github.io/eo/v1.1.0/schema.json",
            "https://stac-extensions.github.io/projection/v2.0.0/schema.json",
        ],
    )  # fmt: skip
    item.add_asset("data", pystac.Asset(
        f"./{tile_name(row)}.tif", media_type=pystac.MediaType.GEOTIFF, roles=["data"],
        extra_fields={"eo:bands": [_band(name) for name in (*dataset.bands, SCL_BAND)]},
    ))  # fmt: skip
    return item


def _band(name: str) -> dict[str, Any]:
    """Description of a band in the `eo` extension."""
    found: dict[str, Any] = {"name": name}
    return found | ({"center_wavelength": CENTRE_NM[name] / 1000} if name in CENTRE_NM else {})


def patch_ring(row: TileRow, patch_m: int) -> list[list[float]]:
    """Closed ring of longitudes and latitudes around the patch of a tile, counter-clockwise."""
    left, top = row.transform[2], row.transform[5]
    x = np.array([left, left, left + patch_m, left + patch_m, left])
    y = np.array([top, top - patch_m, top - patch_m, top, top])
    code = row.crs.removeprefix("EPSG:")
    lons, lats = to_lonlat(x, y, int(code))
    lons = unwrap(lons, lons[0])
    return [[float(a), float(b)] for a, b in zip(lons, lats, strict=True)]


def _write_parquet(items: Sequence[pystac.Item], path: Path) -> None:
    """Write items as stac-geoparquet, if that package is installed."""
    try:
        import stac_geoparquet.arrow as arrow
    except ImportError:
        return
    batches = arrow.parse_stac_items_to_arrow([item.to_dict() for item in items])
    temporary = path.with_name(f"{path.name}.tmp")
    arrow.to_parquet(batches, temporary)
    temporary.replace(path)
