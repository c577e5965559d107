"""The transport: deadline of the whole response, proxies, certificates."""

from __future__ import annotations

import logging
import socket
import ssl
import threading
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import quote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from caco_data.errors import CacoDataError, InputError, TransientError
from caco_data.sources.earthengine.settings import EarthEngineSettings
from caco_data.sources.earthengine.transport import Transport
from caco_data.sources.limiter import Limiter
from caco_data.sources.proxy import find_proxy
from caco_data.sources.simulated.settings import SimulatedSettings
from tests.support.earthengine.client import failure_of_opening, scenes_at
from tests.support.earthengine.proxy import TestProxy
from tests.support.earthengine.server import EarthEngineServer

ARCHIVE = SimulatedSettings().open()
#: Resolved by the proxy only.
URL = "http://earth-engine.invalid"
VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "REQUESTS_CA_BUNDLE")


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture(scope="module")
def server() -> Iterator[EarthEngineServer]:
    with EarthEngineServer(ARCHIVE) as running:
        yield running


def basic(login: str) -> str:
    return f"Basic {b64encode(login.encode()).decode()}"


def failure(url: str, deadline_s: float = 20.0) -> CacoDataError:
    with pytest.raises(CacoDataError) as caught:
        Transport(url, deadline_s, Limiter()).request(f"{url}/v1/anything")
    return caught.value


LOGINS = ["user:secret-4711", "user:secret-4711@:/?#%", "Zoë:secret-4711é", "user:", "token"]


@pytest.mark.parametrize("login", LOGINS)
@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_proxies_with_a_login(
    server: EarthEngineServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture,
    login: str, variable: str,
) -> None:  # fmt: skip
    caplog.set_level(logging.DEBUG)
    user, colon, password = login.partition(":")
    written = f"{quote(user, safe='')}{colon}{quote(password, safe='')}"
    with TestProxy(server.url, basic(login)) as proxy:
        monkeypatch.setenv(variable, f"http://{written}@{proxy.address}")
        assert scenes_at(EarthEngineSettings(url=URL).open()) == scenes_at(ARCHIVE)
        assert {sent for _, _, sent in proxy.requests} == {basic(login)}
        monkeypatch.setenv(variable, f"http://wrong-secret-4711@{proxy.address}")
        error = failure_of_opening(URL)
    assert isinstance(error, TransientError)
    assert error.intercepted
    assert error.remedy == f"Check the proxy {proxy.address} and its login in {variable.upper()}"
    assert "secret-4711" not in f"{error} {caplog.text}"


def test_the_login_is_sent_with_connect(monkeypatch: pytest.MonkeyPatch) -> None:
    with TestProxy("", connect_status=407) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://me:p%40ss@{proxy.address}")
        error = failure("https://earth-engine.invalid")
    assert proxy.requests == [("CONNECT", "earth-engine.invalid:443", basic("me:p@ss"))]
    assert isinstance(error, TransientError)
    assert error.intercepted
    assert "HTTP 407" in error.where
    assert error.remedy == f"Check the proxy {proxy.address} and its login in HTTPS_PROXY"
    assert "p@ss" not in str(error)
    assert "p%40ss" not in str(error)


@pytest.mark.parametrize(("status", "intercepted"), [(403, True), (302, True), (503, False)])
def test_refused_tunnels(monkeypatch: pytest.MonkeyPatch, status: int, intercepted: bool) -> None:
    with TestProxy("", connect_status=status) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.address)
        error = failure("https://earth-engine.invalid")
    assert isinstance(error, TransientError)
    assert error.intercepted == intercepted


def test_a_proxy_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://me:secret@127.0.0.1:9")
    error = failure(URL)
    assert isinstance(error, TransientError)
    assert error.intercepted
    assert "127.0.0.1:9" in error.remedy
    assert "secret" not in str(error)


@pytest.mark.parametrize(
    "address",
    ["socks5://me:secret@127.0.0.1:9", "socks4a://h", "ftp://h", "http://", "http://h:port",
     "http://me:sec/ret@h:1", "http://me:secret@[::1", "://"],
)  # fmt: skip
@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "all_proxy"])
def test_unusable_proxies_are_input_errors(
    monkeypatch: pytest.MonkeyPatch, address: str, variable: str
) -> None:
    monkeypatch.setenv(variable, address)
    with pytest.raises(InputError, match=variable.upper()) as caught:
        Transport("https://earth-engine.invalid", 1.0, Limiter())
    assert "sec" not in str(caught.value)


def test_no_proxy_and_loopback(server: EarthEngineServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert EarthEngineSettings(url=server.url).open()
    monkeypatch.setenv("NO_PROXY", "example.org,.invalid")
    assert find_proxy("https://example.com") is not None
    assert find_proxy("https://example.org:8443") is None
    assert find_proxy(URL) is None


@contextmanager
def dripping(first: bytes) -> Iterator[str]:
    """A server that sends some bytes and then one byte each 50 ms."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            try:
                connection.recv(65_536)
                connection.sendall(first)
                while True:
                    connection.sendall(b"x")
                    time.sleep(0.05)
            except OSError:
                connection.close()

        threading.Thread(target=serve, daemon=True).start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"


HEAD = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    "first",
    [
        b"",
        HEAD + b"X-Padding: ",
        HEAD + b"Content-Length: 99999\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nfff\r\n",
        HEAD + b"\r\n",
    ],
)
def test_the_deadline_holds_for_the_whole_response(first: bytes) -> None:
    with dripping(first) as address:
        began = time.monotonic()
        error = failure(f"http://{address}", deadline_s=0.5)
    assert 0.4 < time.monotonic() - began < 2
    assert isinstance(error, TransientError)
    assert error.what == "timeout"


def test_the_deadline_holds_for_a_tunnel(monkeypatch: pytest.MonkeyPatch) -> None:
    with TestProxy("", connect_status=0) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://{proxy.address}")
        began = time.monotonic()
        error = failure("https://earth-engine.invalid", deadline_s=0.5)
    assert time.monotonic() - began < 2
    assert error.what == "timeout"


def test_a_late_response_does_not_shorten_the_next_deadline(server: EarthEngineServer) -> None:
    transport = Transport(server.url, 1.0, Limiter())
    for _ in range(2):
        assert transport.request(f"{server.url}/v1/projects/p/algorithms")[0].status == 200
        time.sleep(0.7)


def test_a_certificate_that_is_not_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate(tmp_path))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"https://localhost:{listener.getsockname()[1]}"

        def serve() -> None:
            for _ in range(2):
                connection, _ = listener.accept()
                try:
                    with context.wrap_socket(connection, server_side=True) as secure:
                        secure.recv(65_536)
                        secure.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
                except OSError:
                    pass

        threading.Thread(target=serve, daemon=True).start()
        error = failure(url)
        assert isinstance(error, TransientError)
        assert "REQUESTS_CA_BUNDLE" in error.remedy
        assert (error.what, error.intercepted) == ("untrusted certificate", True)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "cert.pem"))
        assert Transport(url, 20.0, Limiter()).request(f"{url}/v1/x")[1] == b"{}"


def certificate(folder: Path) -> Path:
    """Write a self-signed certificate for localhost and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now()
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=2))
        .not_valid_after(now + timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path = folder / "cert.pem"
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.mark.parametrize(
    "url", ["http://me:secret@h:port", "http://h:0", "http://h:99999", "http://[::1"]
)
def test_addresses_with_an_invalid_port_or_host(url: str) -> None:
    error = failure_of_opening(url)
    assert isinstance(error, InputError)
    assert "--ee-url" in error.remedy
    assert "secret" not in str(error)


def test_messages_omit_the_login_of_an_address() -> None:
    error = failure_of_opening("http://me:secret@127.0.0.1:9")
    assert "127.0.0.1:9" in str(error)
    assert "secret" not in str(error)
