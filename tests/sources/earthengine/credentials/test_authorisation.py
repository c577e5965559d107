"""Bearer tokens: their renewal for many threads, and failures of the token endpoint."""

from __future__ import annotations

import json
import logging
import pickle
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import httplib2
import numpy as np
import pytest

from caco_data.errors import RefusedError, TransientError
from caco_data.grid import grid_footprint
from caco_data.sources.earthengine.authorisation import Authorisation, AuthorisedTransport
from caco_data.sources.earthengine.credentials import (
    find_credentials,
)
from caco_data.sources.earthengine.settings import EarthEngineSettings
from caco_data.sources.simulated.settings import SimulatedSettings
from tests.sources.earthengine.credentials.conftest import (
    SECRET,
    Endpoints,
    WriteKey,
    check,
    error_of,
    token_requests,
)
from tests.support.earthengine.faults import FaultPlan
from tests.support.earthengine.requests import END, START
from tests.support.earthengine.server import EarthEngineServer
from tests.support.simulated_tiles import grid_at

# --- tokens --------------------------------------------------------------------------------------


class Service:
    """A transport to a service that accepts the newest token of the token endpoint only."""

    def __init__(self, server: EarthEngineServer) -> None:
        self.server = server
        self.barrier: threading.Barrier | None = None
        self.tokens: list[str] = []
        self.authorised = True

    def request(
        self, uri: str, method: str, body: Any, headers: dict[str, str]
    ) -> tuple[httplib2.Response, bytes]:
        token = headers.get("authorization", "").removeprefix("Bearer ")
        self.tokens.append(token)
        valid = token == f"ya29.test-token-{self.server._tokens}"
        valid = valid and self.server._tokens > self.server._expired and self.authorised
        if not valid and self.barrier:
            self.barrier.wait()  # all threads are refused before the first renewal
        fields = {"status": 200 if valid else 401, "content-type": "application/json"}
        return httplib2.Response(fields), b"{}"


def test_forty_threads_with_a_refused_token_make_one_token_request(
    server: EarthEngineServer, key_file: Path
) -> None:
    service = Service(server)
    found = find_credentials(server.url, str(key_file))
    transport = AuthorisedTransport(service, found, server.url, 20.0)
    assert transport.request(f"{server.url}/v1")[0].status == 200
    assert token_requests(server) == 1
    server.expire_tokens()
    service.barrier = threading.Barrier(40)
    with ThreadPoolExecutor(40) as threads:
        responses = list(threads.map(lambda _: transport.request(f"{server.url}/v1"), range(40)))
    assert {response.status for response, _ in responses} == {200}
    assert token_requests(server) == 2


def test_forty_threads_without_a_token_make_one_token_request(
    server: EarthEngineServer, key_file: Path
) -> None:
    found = find_credentials(server.url, str(key_file))
    authorisation = Authorisation(found, 20.0)
    for number in (1, 2):
        with ThreadPoolExecutor(40) as threads:
            tokens = set(threads.map(lambda _: authorisation.token(), range(40)))
        assert tokens == {f"ya29.test-token-{number}"}
        assert token_requests(server) == number
        found.credentials.expiry -= timedelta(hours=2)


def test_forty_listings_with_an_expired_token_make_one_token_request(
    server: EarthEngineServer, key_file: Path
) -> None:
    source = EarthEngineSettings(url=server.url, key_file=str(key_file)).open()
    server.expire_tokens()
    footprint = grid_footprint(grid_at(1.44, 43.6))
    with ThreadPoolExecutor(40) as threads:
        counts = threads.map(lambda _: len(source.list_scenes(footprint, START, END)), range(40))
        assert min(counts) > 0
    assert token_requests(server) == 2


def test_threads_share_the_failure_of_a_renewal(server: EarthEngineServer, key_file: Path) -> None:
    server.plan = FaultPlan({"stall": 1.0}, applies_to=("token",), stall_s=600)
    authorisation = Authorisation(find_credentials(server.url, str(key_file)), 1.0)

    def ask(_: int) -> str:
        return error_of(authorisation.token).where

    began = time.monotonic()
    with ThreadPoolExecutor(40) as threads:
        errors = list(threads.map(ask, range(40)))
    assert len(errors) == 40
    assert time.monotonic() - began < 5  # one after another, they would wait 40 s
    assert token_requests(server) < 5
    server.plan = FaultPlan()
    assert authorisation.token().startswith("ya29.")


def test_a_second_refusal_by_the_service_is_final(
    server: EarthEngineServer, key_file: Path
) -> None:
    service = Service(server)
    service.authorised = False
    found = find_credentials(server.url, str(key_file))
    transport = AuthorisedTransport(service, found, server.url, 20.0)
    error = error_of(lambda: transport.request(f"{server.url}/v1"))
    assert isinstance(error, RefusedError)
    assert "rejects the service-account key" in str(error)
    assert service.tokens == ["ya29.test-token-1", "ya29.test-token-2"]


def test_a_token_is_sent_to_the_configured_address_only(
    server: EarthEngineServer, key_file: Path
) -> None:
    service = Service(server)
    found = find_credentials(server.url, str(key_file))
    transport = AuthorisedTransport(service, found, server.url, 20.0)
    for other in ("http://127.0.0.1:1/v1", "https://127.0.0.1/v1", "http://other.example/"):
        transport.request(other)
    assert service.tokens == ["", "", ""]


def test_a_key_file_opens_and_an_expired_token_is_renewed(
    server: EarthEngineServer, key_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for name in ("google", "urllib3"):
        caplog.set_level(logging.DEBUG, name)
    records: list[logging.LogRecord] = caplog.records
    archive = SimulatedSettings().open()
    with pytest.raises(RefusedError):
        EarthEngineSettings(url=server.url).open()
    settings = EarthEngineSettings(url=server.url, key_file=str(key_file))
    source = settings.open()
    assert token_requests(server) == 1
    grid = grid_at(1.44, 43.6)
    scene = archive.list_scenes(grid_footprint(grid), START, END)[0]
    server.expire_tokens()
    tile = source.read_tile(scene, grid, ["B4"])
    np.testing.assert_array_equal(tile, archive.read_tile(scene, grid, ["B4"]))
    assert token_requests(server) == 2
    found = settings.find_credentials()
    output = "".join(str(vars(record)) for record in records) + caplog.text
    output += repr(settings) + repr(found) + repr(pickle.dumps(settings))
    for secret in ("PRIVATE KEY", "ya29.", SECRET):
        assert secret not in output
    with pytest.raises(TypeError):
        pickle.dumps(found)


def test_the_client_sends_the_same_requests_as_with_its_own_authorisation(
    server: EarthEngineServer, key_file: Path
) -> None:
    server.plan = FaultPlan(denied_projects=("my-project",))
    with pytest.raises(RefusedError, match=r"permission to use project my-project.*--project"):
        EarthEngineSettings(url=server.url, key_file=str(key_file)).open()
    EarthEngineSettings(url=server.url, key_file=str(key_file), project="another").open()


# --- token endpoint ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "where"),
    [
        ("503", "HTTP 503"), ("500", "HTTP 500"), ("429", "HTTP 429"), ("html", "not JSON"),
        ("drop", "connection failed"), ("short_body", "connection failed"),
        ("stall", "timeout|no response"), ("drip", "no response within 1 s"),
    ],
)  # fmt: skip
def test_failures_of_the_token_endpoint_are_transient(
    server: EarthEngineServer, key_file: Path, fault: str, where: str
) -> None:
    server.plan = FaultPlan({fault: 1.0}, applies_to=("token",), stall_s=600)
    settings = EarthEngineSettings(url=server.url, key_file=str(key_file), deadline_s=1.0)
    began = time.monotonic()
    with pytest.raises(TransientError, match=where) as caught:
        settings.open()
    assert time.monotonic() - began < 5
    assert caught.value.what == "token endpoint"
    assert caught.value.intercepted == (fault == "html")
    server.plan = FaultPlan()
    source = settings.open()
    server.expire_tokens()
    server.plan = FaultPlan({fault: 1.0}, applies_to=("token",), stall_s=600)
    with pytest.raises(TransientError, match=where):
        source.list_scenes(grid_footprint(grid_at(1.44, 43.6)), START, END)


def oauth(error: str, description: str = SECRET) -> bytes:
    return json.dumps({"error": error, "error_description": description}).encode()


@pytest.mark.parametrize(
    ("status", "body", "intercepted"),
    [
        (200, b"<html>Sign in</html>", True),
        (403, b"<html>Sign in</html>", True),
        (511, b"<html>Sign in</html>", False),
        (302, b"", True),
        (407, b"", True),
        (408, b"{}", False),
        (200, b"{}", False),
        (200, b"[]", False),
        (200, b'{"access_token": null}', False),
        (200, b'{"access_token": "a\\nb", "expires_in": 3600}', False),
        (200, b'{"access_token": "ya29.x", "expires_in": "soon"}', False),
        (200, b"\xff\xfe", True),
        (400, oauth("temporarily_unavailable"), False),
        (403, oauth("rate_limit_exceeded"), False),
        (400, oauth("internal_failure"), False),
    ],
)
def test_other_responses_without_a_token_are_transient(
    endpoint: Endpoints, write_key: WriteKey, status: int, body: bytes, intercepted: bool
) -> None:
    url, handler = endpoint(status, body, Location="http://127.0.0.1:9/login")
    error = error_of(lambda: check("http://127.0.0.1:9", write_key(f"{url}/token")))
    assert isinstance(error, TransientError)
    assert error.what == "token endpoint"
    assert error.intercepted == intercepted
    assert (error.remedy != "") == intercepted
    assert len(handler.seen) == 1  # no retries here, and no redirect


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (oauth("invalid_grant"), "key deleted, or account disabled"),
        (oauth("invalid_grant", "Invalid JWT: not in a reasonable timeframe"), "Set the clock"),
        (oauth("invalid_client"), "invalid_client.*Service accounts"),
        (oauth(SECRET), "not usable"),
        (b'{"error": {"code": 403, "message": "disabled"}}', "not usable"),
    ],
)
def test_refusals_of_a_key_are_final(
    endpoint: Endpoints, write_key: WriteKey, body: bytes, message: str
) -> None:
    url, _ = endpoint(400, body)
    key = write_key(f"{url}/token")
    error = error_of(lambda: check("http://127.0.0.1:9", key))
    assert isinstance(error, RefusedError)
    assert str(key) in str(error)
    assert re.search(message, str(error))


def test_the_token_endpoint_is_reached_through_a_proxy_with_a_password(
    endpoint: Endpoints, write_key: WriteKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, handler = endpoint(407, b"", Proxy_Authenticate="Basic")
    key = write_key("https://token.example/token")
    for user, authorization in (("", None), (f"me:{SECRET}@", "Basic ")):
        monkeypatch.setenv("HTTPS_PROXY", url.replace("//", f"//{user}"))
        error = error_of(lambda: check("https://ee.example", key))
        assert isinstance(error, TransientError)
        assert error.intercepted
        assert "HTTPS_PROXY" in error.remedy
        request, headers = handler.seen[-1]
        assert request == "CONNECT token.example:443"
        sent = headers.get("Proxy-Authorization")
        assert (sent or "").startswith(authorization or "")
        assert (sent is None) == (authorization is None)
