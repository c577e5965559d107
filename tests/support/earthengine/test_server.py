"""The test server with the real client and with plain HTTP requests."""

from __future__ import annotations

import gzip
import io
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import ee
import numpy as np
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth.credentials import AnonymousCredentials
from google.auth.transport.requests import AuthorizedSession
from google.oauth2 import service_account

from caco_data.sources.simulated.settings import SimulatedSettings
from caco_data.types import Footprint
from tests.support.earthengine.entries import COLLECTION, ROOT
from tests.support.earthengine.requests import (
    BANDS,
    END,
    GRID,
    PATCH,
    SOURCE,
    START,
    ask,
    counters,
    listing_target,
    pixels_body,
    pixels_query,
    pixels_target,
    polygon,
    read_entry,
    scenes,
)
from tests.support.earthengine.server import EarthEngineServer, server_process
from tests.support.flat_source import FlatSource


@pytest.fixture(scope="module")
def server() -> Iterator[EarthEngineServer]:
    with EarthEngineServer(SOURCE, page_size=7) as running:
        yield running


@pytest.fixture(scope="module")
def client(server: EarthEngineServer) -> Iterator[EarthEngineServer]:
    """Initialise the unmodified client against the server."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NO_PROXY", "127.0.0.1")
        # Prevents Initialize from downloading a catalogue.
        patch.setattr(ee.deprecation, "deprecated_assets", {"_offline": None})
        ee.Initialize(AnonymousCredentials(), url=server.url, project="any-project")
        yield server
        ee.Reset()


def list_images(**more: object) -> dict[str, Any]:
    times = {"startTime": START.isoformat(), "endTime": END.isoformat()}
    params = {"parent": COLLECTION, **times, "region": polygon(PATCH), **more}
    response: dict[str, Any] = ee.data.listImages(params)
    return response


@pytest.mark.usefixtures("client")
def test_the_client_lists_all_pages_of_the_source() -> None:
    listed = list_images()["images"]
    expected = SOURCE.list_scenes(PATCH, START, END)
    assert len(expected) > 7
    assert [read_entry(x) for x in listed] == sorted(expected, key=lambda s: s.image_id)


@pytest.mark.usefixtures("client")
def test_single_pages_make_up_the_whole_listing() -> None:
    pages, token = [], None
    while token is None or token:
        response = list_images(pageSize=3, **({"pageToken": token} if token else {}))
        pages.append([image["id"] for image in response["images"]])
        token = response.get("nextPageToken", "")
    assert {len(page) for page in pages[:-1]} == {3}
    whole = [image["id"] for image in list_images()["images"]]
    assert [name for page in pages for name in page] == whole


@pytest.mark.usefixtures("client")
def test_the_basic_view_has_names_only() -> None:
    image = list_images(view="BASIC")["images"][0]
    assert image == {"type": "IMAGE", "name": ROOT + image["id"], "id": image["id"]}


def test_a_long_region_is_sent_as_a_post(client: EarthEngineServer) -> None:
    lon, lat = PATCH.longitudes[0], PATCH.latitudes[0]
    turn = np.linspace(0, 2 * np.pi, 100, endpoint=False)
    circle = Footprint(
        tuple((lon + np.cos(turn) / 50).tolist()), tuple((lat + np.sin(turn) / 50).tolist())
    )
    listed = list_images(region=polygon(circle))["images"]
    assert {read_entry(x) for x in listed} == set(SOURCE.list_scenes(circle, START, END))


@pytest.mark.usefixtures("client")
def test_the_client_reads_the_pixels_of_the_source() -> None:
    scene = scenes()[0]
    query = {"assetId": f"{COLLECTION}/{scene.image_id}", "fileFormat": "NUMPY_NDARRAY"}
    pixels = ee.data.getPixels({**query, **pixels_query()})
    assert [pixels.dtype[band].str for band in BANDS] == ["<u2", "<u2", "<u2", "|u1"]
    expected = SOURCE.read_tile(scene, GRID, BANDS)
    assert np.stack([pixels[band] for band in BANDS]).tobytes() == expected.tobytes()


def test_an_image_is_found_without_a_listing() -> None:
    seven = SimulatedSettings(7).open()
    scene = scenes(seven)[0]
    with EarthEngineServer(seven) as fresh:
        status, _, body = ask(fresh.url, "POST", pixels_target(scene.image_id), pixels_body())
        assert status == 200
        expected = seven.read_tile(scene, GRID, BANDS)
        assert (np.load(io.BytesIO(body))["B4"] == expected[0]).all()


def test_responses_are_compressed_for_clients_that_accept_it() -> None:
    with EarthEngineServer(SOURCE, gzip_responses=True) as running:
        plain = ask(running.url, "GET", listing_target())[2]
        _, headers, body = ask(
            running.url, "GET", listing_target(), headers={"Accept-Encoding": "gzip"}
        )
    assert headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(body) == plain


def test_a_service_account_renews_expired_tokens() -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )  # fmt: skip
    with EarthEngineServer(FlatSource(), require_token=True) as guarded:
        credentials = service_account.Credentials.from_service_account_info(
            {
                "client_email": "a@b.iam.gserviceaccount.com",
                "private_key": pem.decode(),
                "token_uri": f"{guarded.url}/token",
            },
            scopes=["any"],
        )
        assert ask(guarded.url, "GET", listing_target())[0] == 401
        with AuthorizedSession(credentials) as session:
            session.trust_env = False
            for tokens in (1, 2):
                assert session.get(guarded.url + listing_target()).status_code == 200
                assert counters(guarded.url)["requests"]["token"] == tokens
                first = credentials.token
                guarded.expire_tokens()
        assert (
            ask(guarded.url, "GET", listing_target(), headers={"Authorization": f"Bearer {first}"})[
                0
            ]
            == 401
        )


def test_command_line_prints_the_address_and_ends_silently() -> None:
    command = [sys.executable, "-m", "tests.support.earthengine", "--port", "0", "--page-size", "2"]
    options = ["--source", "flat", "--fault", "html=0.25", "--capacity", "9", "--seed", "3"]
    options += ["--refuse-pixels-after", "5", "--refusal-status", "413"]
    with subprocess.Popen(
        [*command, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        url = line.split()[-1]
        plan = json.loads(ask(url, "GET", "/faults")[2])
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert line == f"Earth Engine test server listening on {url}\n"
    assert (plan["rates"], plan["capacity"], plan["seed"]) == ({"html": 0.25}, 9, 3)
    assert (plan["refuse_pixels_after"], plan["refusal_status"]) == (5, 413)
    assert (process.returncode, out, err) == (0, "", "")


def test_command_line_rejects_unknown_faults() -> None:
    command = [sys.executable, "-m", "tests.support.earthengine", "--fault", "flood=0.1"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert "unknown fault flood" in done.stderr


def test_server_process_ends_with_its_context() -> None:
    with server_process("--source", "flat") as url:
        assert ask(url, "GET", listing_target())[0] == 200
    with pytest.raises(ConnectionError):
        ask(url, "GET", "/counters")
