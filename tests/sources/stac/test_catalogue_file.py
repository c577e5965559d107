from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.request import Request, urlopen

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from caco_data.errors import InputError
from caco_data.grid import grid_footprint
from caco_data.sources.stac.settings import StacSettings
from tests.sources.stac.test_source import YEAR
from tests.support.simulated_tiles import grid_at
from tests.support.stac_server.server import StacServer

arrow = pytest.importorskip("stac_geoparquet.arrow")

GRID = grid_at(1.44, 43.6)


@pytest.fixture(scope="module")
def server() -> Iterator[StacServer]:
    with StacServer(patches=[GRID]) as running:
        yield running


@pytest.fixture(scope="module")
def catalogue(server: StacServer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All items of a place and a year, as stac-geoparquet writes them."""
    footprint = grid_footprint(GRID)
    ring = [*zip(footprint.longitudes, footprint.latitudes, strict=True)]
    body = {
        "collections": ["sentinel-2-c1-l2a", "sentinel-2-l2a"],
        "datetime": "/".join(f"{day:%Y-%m-%dT%H:%M:%SZ}" for day in YEAR),
        "intersects": {"type": "Polygon", "coordinates": [[*ring, ring[0]]]},
        "limit": 1000,
    }
    items = []
    url = f"{server.url}/search"
    while url:
        headers = {"Content-Type": "application/json"}
        with urlopen(Request(url, json.dumps(body).encode(), headers)) as answer:
            page = json.load(answer)
        items += page["features"]
        following = [link for link in page["links"] if link["rel"] == "next"]
        url = following[0]["href"] if following else ""
        body = following[0].get("body", body) if following else body
    path = tmp_path_factory.mktemp("catalogue") / "items.parquet"
    arrow.to_parquet(arrow.parse_stac_items_to_arrow(items), path)
    return path


def test_scenes_and_pixels_are_those_of_the_api(server: StacServer, catalogue: Path) -> None:
    footprint = grid_footprint(GRID)
    api = StacSettings(server.url).open()
    expected = api.list_scenes(footprint, *YEAR)
    assert len(expected) > 30
    before = server.requests.copy()
    source = StacSettings(server.url, catalog=str(catalogue)).open()
    scenes = source.list_scenes(footprint, *YEAR)
    assert server.requests == before  # no search
    assert scenes == expected
    scene = next(s for s in scenes if s.epsg == GRID.epsg and s.offset_dn is not None)
    tile, expected_tile = (one.read_tile(scene, GRID, ["B4", "SCL"]) for one in (source, api))
    np.testing.assert_array_equal(tile, expected_tile)


def test_the_digest_of_the_catalogue_is_recorded(catalogue: Path, tmp_path: Path) -> None:
    one = StacSettings("http://127.0.0.1:1", catalog=str(catalogue)).record()
    assert set(one) == {"endpoint", "catalog_sha256"}
    other = tmp_path / "other.parquet"
    pq.write_table(pq.read_table(catalogue).slice(1), other)
    assert StacSettings("http://127.0.0.1:1", catalog=str(other)).record() != one


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "Unreadable"), (b"no parquet", "Unreadable"), ({"id": ["a"]}, "lacks the column")],
)
def test_other_files_are_refused(content: object, words: str, tmp_path: Path) -> None:
    path = tmp_path / "items.parquet"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        pq.write_table(pa.table(content), path)
    with pytest.raises(InputError, match=words) as caught:
        StacSettings("http://127.0.0.1:1", catalog=str(path)).open()
    assert "--catalog" in str(caught.value)
