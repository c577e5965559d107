"""Real items of Earth Search and the Planetary Computer: scenes, offsets, footprints."""

from __future__ import annotations

import copy
import json
import math
from pathlib import Path
from typing import Any

import pytest

from caco_data.sentinel2 import ALL_BANDS, SCL_BAND
from caco_data.sources.stac.items import Candidate, parse_item, trimmed
from tests.support.stac_material import ITEMS

#: Item: EPSG code, tile, baseline, DN to subtract, what decided.
EXPECTED = {
    "es_l2a_S2A_13TDE_20231008": (32613, "13TDE", "05.09", 0, "flag: removed"),
    "es_l2a_S2B_24MUV_20250731": (32724, "24MUV", "05.11", 0, "flag: removed"),
    "es_c1_S2B_24MUV_20250731": (32724, "24MUV", "05.11", 1000, "baseline 05.11"),
    "es_l2a_S2A_29RKH_20200219": (32629, "29RKH", "02.14", 0, "flag: not removed, baseline 02.14"),
    "pc_S2A_58UFE_20190101": (32658, "58UFE", "02.12", 0, "baseline 02.12"),
    "pc_S2B_06VVN_20190629": (32606, "06VVN", "02.12", 0, "baseline 02.12"),
}


def load(name: str) -> dict[str, Any]:
    item: dict[str, Any] = json.loads((ITEMS / f"{name}.json").read_text())
    return item


def parsed(item: dict[str, Any]) -> Candidate | None:
    return parse_item(json.loads(json.dumps(trimmed(item, "https://api.example/v1"))))


@pytest.mark.parametrize(("name", "expected"), EXPECTED.items())
def test_real_items(name: str, expected: tuple[Any, ...]) -> None:
    item = load(name)
    one = parsed(item)
    assert one is not None
    scene = one.scene
    found = scene.epsg, one.tile, scene.baseline, scene.offset_dn, scene.offset_evidence
    assert found == expected
    assert dict(scene.files).keys() == {*ALL_BANDS, SCL_BAND}
    assert all(href.endswith(".tif") for _, href in scene.files)
    assert scene.cloud_pct == item["properties"]["eo:cloud_cover"]
    lons, lats = scene.footprint.longitudes, scene.footprint.latitudes
    west, south, east, north = item["bbox"][:2] + item["bbox"][-2:]
    assert min(lons) >= west - 0.01
    assert max(lons) <= east + 0.01
    assert min(lats) >= south - 0.01
    assert max(lats) <= north + 0.01


def test_both_collections_describe_one_acquisition() -> None:
    old, new = parsed(load("es_l2a_S2B_24MUV_20250731")), parsed(load("es_c1_S2B_24MUV_20250731"))
    assert old is not None
    assert new is not None
    assert old.acquisition == new.acquisition == ("S2B", "20250731T130249", "24MUV")
    assert old.collection != new.collection


def changed(**properties: Any) -> Candidate | None:
    item = copy.deepcopy(load("es_l2a_S2A_13TDE_20231008"))
    item["properties"] |= properties
    item["properties"] = {k: v for k, v in item["properties"].items() if v is not ...}
    return parsed(item)


def test_projection_extension_2_and_none() -> None:
    for change in ({"proj:epsg": ..., "proj:code": "EPSG:32613"}, {"proj:epsg": ...}):
        one = changed(**change)
        assert one is not None
        assert one.scene.epsg == 32613


def test_cloud_cover_that_is_missing() -> None:
    one = changed(**{"eo:cloud_cover": None})
    assert one is not None
    assert one.scene.cloud_pct == pytest.approx(0.000299)  # the sum of its classes
    one = changed(**{"eo:cloud_cover": None, "s2:thin_cirrus_percentage": ...})
    assert one is not None
    assert math.isnan(one.scene.cloud_pct)


@pytest.mark.parametrize(
    ("flag", "baseline", "offset_dn"),
    [
        (True, "05.09", 0), (False, "05.09", 1000), (False, "02.14", 0), (..., "04.00", 1000),
        (..., "03.01", 0), (..., "0400", 1000), (True, ..., 0),
    ],
)  # fmt: skip
def test_flag_and_baseline_decide_on_the_offset(flag: Any, baseline: Any, offset_dn: int) -> None:
    one = changed(**{"earthsearch:boa_offset_applied": flag, "s2:processing_baseline": baseline})
    assert one is not None
    assert one.scene.offset_dn == offset_dn


def test_no_offset_is_assumed_when_nothing_tells() -> None:
    names = "processing_baseline", "product_uri", "datatake_id", "datastrip_id", "tile_id"
    unknown = {f"s2:{name}": ... for name in (*names, "granule_id")}
    one = changed(**{"earthsearch:boa_offset_applied": ..., **unknown})
    assert one is not None
    assert one.scene.offset_dn is None


def test_items_without_scene_classes_or_required_fields_are_skipped() -> None:
    item = load("es_l2a_S2A_13TDE_20231008")
    without = copy.deepcopy(item)
    del without["assets"]["scl"]
    assert parsed(without) is None
    for name, value in (("datetime", None), ("datetime", "yesterday"), ("proj:epsg", "x")):
        broken = copy.deepcopy(item)
        broken["properties"][name] = value
        one = parsed(broken)
        assert one is None or one.scene.epsg == 32613  # from the name of the tile
    assert parsed(item | {"geometry": {"type": "Polygon", "coordinates": []}}) is None


def test_relative_and_s3_addresses() -> None:
    item = copy.deepcopy(load("es_l2a_S2A_13TDE_20231008"))
    item["links"] = [{"rel": "self", "href": "https://host/c/items/one.json"}]
    item["assets"]["red"]["href"] = "./B04.tif"
    item["assets"]["blue"]["href"] = "s3://sentinel-cogs/a/B02.tif"
    one = parsed(item)
    assert one is not None
    files = dict(one.scene.files)
    assert files["B4"] == "https://host/c/items/B04.tif"
    assert files["B2"] == "s3://sentinel-cogs/a/B02.tif"


def test_a_footprint_split_at_the_antimeridian_is_joined() -> None:
    item = copy.deepcopy(load("es_l2a_S2A_13TDE_20231008"))
    east = [[[179.5, 0.0], [180.0, 0.0], [180.0, 1.0], [179.5, 1.0], [179.5, 0.0]]]
    west = [[[-180.0, 0.0], [-179.5, 0.0], [-179.5, 1.0], [-180.0, 1.0], [-180.0, 0.0]]]
    item["geometry"] = {"type": "MultiPolygon", "coordinates": [east, west]}
    one = parsed(item)
    assert one is not None
    assert min(one.scene.footprint.longitudes) == 179.5
    assert max(one.scene.footprint.longitudes) == 180.5


def test_material_is_complete() -> None:
    assert {path.stem for path in Path(ITEMS).glob("*.json")} == EXPECTED.keys()
