"""Fixtures for credentials: their files, token endpoints and metadata servers on 127.0.0.1."""

from __future__ import annotations

import json
import pickle
import socketserver
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import distributed  # noqa: F401  # makes exceptions include their causes when they are pickled
import ee
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from caco_data.errors import CacoDataError
from caco_data.sources.earthengine.endpoint import HIGH_VOLUME
from caco_data.sources.earthengine.settings import EarthEngineSettings
from caco_data.sources.simulated.settings import SimulatedSettings
from tests.support.earthengine.server import EarthEngineServer

SECRET = "planted-SECRET-4711"
VARIABLES = (
    "GOOGLE_APPLICATION_CREDENTIALS", "EARTHENGINE_PROJECT", "GOOGLE_CLOUD_PROJECT",
    "GCLOUD_PROJECT", "CLOUDSDK_CORE_PROJECT", "GOOGLE_CLOUD_QUOTA_PROJECT", "HTTPS_PROXY",
    "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "NO_GCE_CHECK",
)  # fmt: skip


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home directory and an environment without credentials."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("CLOUDSDK_CONFIG", raising=False)
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[EarthEngineServer]:
    """The test server, which is also the token endpoint of users."""
    with EarthEngineServer(SimulatedSettings().open(), require_token=True) as running:
        monkeypatch.setattr(ee.oauth, "TOKEN_URI", f"{running.url}/token")
        monkeypatch.setattr(
            "google.oauth2.credentials._GOOGLE_OAUTH2_TOKEN_ENDPOINT", f"{running.url}/token"
        )
        yield running


@pytest.fixture(scope="session")
def private_key() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


WriteKey = Callable[[str], Path]


@pytest.fixture
def write_key(private_key: str, home: Path) -> WriteKey:
    """Write a service-account key with a token endpoint."""

    def write(token_uri: str) -> Path:
        key = {
            "type": "service_account", "project_id": "my-project", "private_key_id": SECRET,
            "private_key": private_key, "client_email": "me@my-project", "client_id": "1",
            "token_uri": token_uri,
        }  # fmt: skip
        path = home / "key.json"
        path.write_text(json.dumps(key))
        return path

    return write


@pytest.fixture
def key_file(server: EarthEngineServer, write_key: WriteKey) -> Path:
    return write_key(f"{server.url}/token")


class Endpoint(BaseHTTPRequestHandler):
    """Responds with the status, headers and body of `answer`."""

    answer: tuple[int, dict[str, str], bytes] = (200, {}, b"{}")
    seen: list[tuple[str, dict[str, str]]]

    def _respond(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.seen.append((f"{self.command} {self.path}", dict(self.headers)))
        status, headers, body = self.answer
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_CONNECT = _respond  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:
        pass


Endpoints = Callable[..., tuple[str, type[Endpoint]]]


@pytest.fixture
def endpoint() -> Iterator[Endpoints]:
    """Start a server: `endpoint(400, b"{}")` returns its address and handler."""
    servers: list[socketserver.BaseServer] = []

    def start(status: int, body: bytes, **headers: str) -> tuple[str, type[Endpoint]]:
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        handler = type("Handler", (Endpoint,), {"answer": (status, fields, body), "seen": []})
        running = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        servers.append(running)
        threading.Thread(target=running.serve_forever, args=(0.05,), daemon=True).start()
        return f"http://127.0.0.1:{running.server_port}", handler

    yield start
    for running in servers:
        running.shutdown()
        running.server_close()


def write_earthengine(home: Path, text: str) -> Path:
    path = home / ".config" / "earthengine" / "credentials"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def write_gcloud(home: Path, **more: str) -> Path:
    path = home / ".config" / "gcloud" / "application_default_credentials.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(user_file(**more))
    return path


def user_file(**more: str) -> str:
    """Credentials of a user, with the client id of gcloud."""
    client = "764086051850-6qr4p6gpi6hn506pt8ejuq83di341hur.apps.googleusercontent.com"
    return json.dumps(
        {
            "type": "authorized_user", "client_id": client, "client_secret": SECRET,
            "refresh_token": SECRET, **more,
        }
    )  # fmt: skip


def token_requests(server: EarthEngineServer) -> int:
    return int(server.counters.summary()["requests"].get("token", 0))


def error_of(action: Callable[[], object]) -> CacoDataError:
    with pytest.raises(CacoDataError) as caught:
        action()
    assert SECRET not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert SECRET.encode() not in pickle.dumps(caught.value)
    return caught.value


def check(url: str = HIGH_VOLUME, key_file: Path | None = None, deadline_s: float = 20.0) -> object:
    return EarthEngineSettings(
        url=url, key_file=str(key_file) if key_file else None, deadline_s=deadline_s
    ).find_credentials()
