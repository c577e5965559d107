"""STAC items as scenes."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urljoin

import shapely

from caco_data.grid import unwrap
from caco_data.sentinel2 import BAND_PIXEL_M, SCL_BAND
from caco_data.sources.geojson import read_footprint
from caco_data.sources.stac.mgrs import parse_name
from caco_data.sources.stac.offsets import baseline_of, offset_of
from caco_data.types import Footprint, Scene

Item = dict[str, Any]

_COMMON = {
    "B1": "coastal", "B2": "blue", "B3": "green", "B4": "red", "B5": "rededge1", "B6": "rededge2",
    "B7": "rededge3", "B8": "nir", "B8A": "nir08", "B9": "nir09", "B11": "swir16",
    "B12": "swir22", SCL_BAND: "scl",
}  # fmt: skip
#: Properties that are read.
_PROPERTIES = re.compile(
    r"datetime|platform|created|eo:cloud_cover|proj:(epsg|code)|grid:code|mgrs:\w+|"
    r"sat:relative_orbit|processing:version|earthsearch:boa_offset_applied|"
    r"s2:(mgrs_tile|processing_baseline|product_uri|datatake_id|datastrip_id|tile_id|"
    r"generation_time|sequence|\w+_percentage)"
)
#: Classes whose percentages add up to the cloud cover (Sentinel-2 product guide,
#: CLOUDY_PIXEL_PERCENTAGE).
_CLOUDS = ("medium_proba_clouds", "high_proba_clouds", "thin_cirrus")

#: Precision at which parts of a footprint are joined, degrees.
_JOIN_DEG = 1e-7


@dataclass(frozen=True, slots=True)
class Candidate:
    """A scene with the attributes by which duplicates are recognised."""

    scene: Scene
    acquisition: tuple[str, ...]
    """Equal for all items made from one acquisition of one tile."""
    collection: str
    generated: str
    """Time at which the product was made, ISO 8601; empty when unknown."""
    tile: str
    """MGRS name of the tile; empty when unknown."""


def band_names(band: str) -> tuple[str, ...]:
    """Return the keys under which catalogues store a band: `red`, `B04`, `B04_10m`."""
    pixel_m = BAND_PIXEL_M.get(band, 20)
    padded = f"B{band[1:]:0>2}" if band != SCL_BAND else band
    return _COMMON[band], padded, band, f"{padded}_{pixel_m}m"


def trimmed(item: Item, base_url: str) -> Item:
    """Return the parts of an item that are read, with absolute addresses of the files."""
    own = next((link["href"] for link in item.get("links", []) if link.get("rel") == "self"), "")
    base = urljoin(base_url, own)
    wanted = [name for band in _COMMON for name in band_names(band)]
    assets = item.get("assets", {})
    return {
        "id": item["id"],
        "collection": item.get("collection") or "",
        "geometry": item["geometry"],
        "properties": {k: v for k, v in item["properties"].items() if _PROPERTIES.fullmatch(k)},
        "assets": {
            name: {"href": _absolute(base, assets[name]["href"])}
            for name in wanted
            if name in assets and assets[name].get("href")
        },
    }


def _absolute(base: str, href: str) -> str:
    return href if "://" in href else urljoin(base, href)


def parse_item(item: Item) -> Candidate | None:
    """Read an item of `trimmed`; None when it has no scene classes or lacks a required field."""
    try:
        properties = item["properties"]
        tile = _tile(properties, item["id"])
        files = _files(item["assets"])
        offset = offset_of(properties)
        if SCL_BAND not in files:
            return None
        acquired = datetime.fromisoformat(properties["datetime"])
        acquired = acquired.astimezone(UTC) if acquired.tzinfo else acquired.replace(tzinfo=UTC)
        scene = Scene(
            image_id=str(item["id"]),
            acquired=acquired,
            cloud_pct=_cloud_pct(properties),
            epsg=_epsg(properties) or (tile[1] if tile else 0),
            footprint=_footprint(item["geometry"]),
            baseline=baseline_of(properties),
            files=tuple(sorted(files.items())),
            offset_dn=offset[0] if offset else None,
            offset_evidence=offset[1] if offset else "",
        )
        name = tile[0] if tile else ""
        return Candidate(
            scene,
            (*_datatake(properties, acquired), name),
            str(item["collection"]),
            str(properties.get("s2:generation_time") or properties.get("created") or ""),
            name,
        )
    except (LookupError, ValueError, TypeError, AttributeError, OverflowError):
        return None


def _footprint(geometry: dict[str, Any]) -> Footprint:
    """Read a geometry; parts on both sides of the antimeridian are joined (RFC 7946, 3.1.9)."""
    polygons = geometry["coordinates"]
    if geometry["type"] == "MultiPolygon" and len(polygons) > 1:
        first = polygons[0][0][0][0]
        parts = [
            shapely.Polygon([(float(unwrap(x, first)), y) for x, y, *_ in polygon[0]])
            for polygon in polygons
        ]
        # The parts meet at the antimeridian, up to rounding.
        joined = shapely.union_all(parts, grid_size=_JOIN_DEG)
        if joined.geom_type == "Polygon":
            geometry = {"type": "Polygon", "coordinates": [list(joined.exterior.coords)]}
    return read_footprint(geometry)


def _files(assets: Mapping[str, Any]) -> dict[str, str]:
    """Return the addresses of the files by band."""
    files: dict[str, str] = {}
    for band in _COMMON:
        for name in band_names(band):
            if name in assets:
                files.setdefault(band, str(assets[name]["href"]))
    return files


def _cloud_pct(properties: Mapping[str, Any]) -> float:
    """Return the cloud cover, 0..100; NaN when it is unknown."""
    value = properties.get("eo:cloud_cover")
    if value is None:
        parts = [properties.get(f"s2:{name}_percentage") for name in _CLOUDS]
        value = math.nan if None in parts else sum(map(float, parts))  # type: ignore[arg-type]
    return float(value)


def _epsg(properties: Mapping[str, Any]) -> int | None:
    """Return the EPSG code that the projection extension 1.x or 2.x states."""
    code = properties.get("proj:epsg") or properties.get("proj:code")
    if isinstance(code, str):
        authority, _, number = code.rpartition(":")
        return int(number) if authority.upper() in ("EPSG", "") and number.isdigit() else None
    return int(code) if code else None


def _tile(properties: Mapping[str, Any], item_id: str) -> tuple[str, int] | None:
    parts = ("mgrs:utm_zone", "mgrs:latitude_band", "mgrs:grid_square")
    if all(part in properties for part in parts):
        return parse_name("".join(str(properties[part]) for part in parts))
    for text in (properties.get("grid:code"), properties.get("s2:mgrs_tile"), item_id):
        match = re.search(r"(?:^|MGRS-|_T?)(\d{1,2}[C-X][A-Z]{2})(?:_|$)", str(text or ""))
        if match and (found := parse_name(match[1])):
            return found
    return None


def _datatake(properties: Mapping[str, Any], acquired: datetime) -> tuple[str, ...]:
    """Return platform and start of the datatake; the acquisition's minute when it is unknown."""
    text = str(properties.get("s2:datatake_id") or properties.get("s2:product_uri") or "")
    if match := re.search(r"(S2[A-D]).*?_(\d{8}T\d{6})", text):
        return match[1], match[2]
    platform = str(properties.get("platform", "")).lower().replace("sentinel-", "S")
    return platform.upper(), f"{acquired:%Y%m%dT%H%M}"
