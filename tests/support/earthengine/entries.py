"""Listing entries of the test server, about as long as real ones."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from functools import lru_cache
from typing import Any

import numpy as np

from caco_data.grid import to_utm
from caco_data.sentinel2 import BAND_PIXEL_M, SCL_BAND, SCL_PIXEL_M
from caco_data.sources.simulated.tiling import TILE_M
from caco_data.types import Scene

ROOT = "projects/earthengine-public/assets/"
COLLECTION = "COPERNICUS/S2_SR_HARMONIZED"
#: Bands and their pixel sizes, metres.
BAND_PX = {**BAND_PIXEL_M, SCL_BAND: SCL_PIXEL_M}

#: Other properties of a real entry, with the values of one scene, for a realistic size.
_OTHER_PROPERTIES = {
    "SPACECRAFT_NAME": "Sentinel-2A",
    "DATATAKE_TYPE": "INS-NOBS",
    "SENSING_ORBIT_NUMBER": 52,
    "SENSING_ORBIT_DIRECTION": "DESCENDING",
    "REFLECTANCE_CONVERSION_CORRECTION": 0.967378083766,
    "MEAN_SOLAR_AZIMUTH_ANGLE": 33.5397692664,
    "MEAN_SOLAR_ZENITH_ANGLE": 48.2937233732,
    **{f"MEAN_INCIDENCE_AZIMUTH_ANGLE_{band}": 214.813727976 for band in BAND_PIXEL_M},
    **{f"MEAN_INCIDENCE_ZENITH_ANGLE_{band}": 3.51770355835 for band in BAND_PIXEL_M},
    **{f"SOLAR_IRRADIANCE_{band}": 1287.61 for band in BAND_PIXEL_M},
    **{f"{name}_QUALITY": "PASSED" for name in ("SENSOR", "GENERAL", "RADIOMETRIC", "GEOMETRIC")},
    "FORMAT_CORRECTNESS": "PASSED",
    "DEGRADED_MSI_DATA_PERCENTAGE": 0,
    "system:asset_size": 978265831,
}


def entry_basic(scene: Scene) -> str:
    """Return a scene's entry with `view=BASIC`, as JSON."""
    return json.dumps(_name(scene))


@lru_cache(maxsize=65_536)
def entry_full(scene: Scene) -> str:
    """Return a scene's complete entry as JSON; floats are written without loss."""
    ring = [
        list(p) for p in zip(scene.footprint.longitudes, scene.footprint.latitudes, strict=True)
    ]
    time = f"{scene.acquired:%Y-%m-%dT%H:%M:%S.%fZ}"
    entry = {
        **_name(scene),
        "updateTime": f"{scene.acquired + timedelta(days=1):%Y-%m-%dT%H:%M:%S.%fZ}",
        "startTime": time,
        "endTime": time,
        "geometry": {"type": "Polygon", "coordinates": [[*ring, ring[0]]]},
        "properties": {
            "CLOUDY_PIXEL_PERCENTAGE": scene.cloud_pct,
            "PROCESSING_BASELINE": scene.baseline,
            "MGRS_TILE": scene.image_id.rsplit("_T", 1)[-1],
            "GENERATION_TIME": int(scene.acquired.timestamp() * 1000),
            "system:index": scene.image_id,
            **_OTHER_PROPERTIES,
        },
        "sizeBytes": "978265831",
    }
    return f'{json.dumps(entry)[:-1]}, "bands": {_bands(scene.epsg, *_corner(scene))}}}'


@lru_cache(maxsize=65_536)
def entry_fields(scene: Scene, fields: str) -> str:
    """Return a scene's entry with the selected fields, `assets(id,bands/grid)`, as JSON."""
    return json.dumps(_select(json.loads(entry_full(scene)), parse_fields(fields)["assets"]))


Tree = dict[str, Any]


def parse_fields(text: str) -> Tree:
    """Parse the field selector of a partial response, `a,b(c,d/e)`, into nested names."""
    root: Tree = {}
    stack, here = [root], root
    for token in re.findall(r"[^,()/]+|[,()/]", text):
        if token == "(":
            stack.append(here)
        elif token == ")":
            stack.pop()
        elif token == ",":
            here = stack[-1]
        elif token != "/":
            here = here.setdefault(token, {})
    return root


def _select(value: Any, tree: Tree) -> Any:
    if isinstance(value, list):
        return [_select(one, tree) for one in value]
    if not tree or not isinstance(value, dict):
        return value
    return {name: _select(value[name], sub) for name, sub in tree.items() if name in value}


def _name(scene: Scene) -> dict[str, Any]:
    asset = f"{COLLECTION}/{scene.image_id}"
    return {"type": "IMAGE", "name": ROOT + asset, "id": asset}


def _corner(scene: Scene) -> tuple[float, float]:
    """Easting and northing of the upper left corner of a scene's footprint, on whole pixels."""
    x, y = to_utm(scene.footprint.longitudes, scene.footprint.latitudes, scene.epsg)
    return round(float(np.min(x)), -1), round(float(np.max(y)), -1)


@lru_cache(maxsize=4096)
def _bands(epsg: int, left_m: float, top_m: float) -> str:
    return json.dumps(
        [
            {
                "id": band,
                "dataType": {
                    "precision": "INT",
                    "range": {"max": 255 if band == SCL_BAND else 65_535},
                },
                "grid": {
                    "crsCode": f"EPSG:{epsg}",
                    "dimensions": {"width": TILE_M // pixel_m, "height": TILE_M // pixel_m},
                    "affineTransform": {
                        "scaleX": pixel_m,
                        "scaleY": -pixel_m,
                        "translateX": left_m,
                        "translateY": top_m,
                    },
                },
                "pyramidingPolicy": "MODE" if band == SCL_BAND else "MEAN",
            }
            for band, pixel_m in BAND_PX.items()
        ]
    )
