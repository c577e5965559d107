from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest

from caco_data.errors import SourceError, TransientError
from caco_data.sources.limiter import Limiter
from caco_data.sources.stac.presets import PRESETS
from caco_data.sources.stac.signing import AZURE_HOSTS, TokenSigner
from caco_data.sources.stac.source import StacSource
from caco_data.sources.stac.web import FileServer, Web

DATA = bytes(range(256))


class Store(ThreadingHTTPServer):
    """Issues tokens for the container `files`, and serves a file to requests with the last one."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.tokens = 0
        self.lasts = timedelta(hours=1)
        self.answer: bytes | None = None

    def token(self) -> bytes:
        self.tokens += 1
        expiry = f"{datetime.now(UTC) + self.lasts:%Y-%m-%dT%H:%M:%SZ}"
        return (
            self.answer
            or json.dumps({"msft:expiry": expiry, "token": f"sig={self.tokens}"}).encode()
        )


class _Handler(BaseHTTPRequestHandler):
    server: Store
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        status, body = 200, b""
        if parts.path == "/token/127/files":
            body = self.server.token()
        elif parts.query != f"sig={self.server.tokens}":
            status = 403
        else:
            first, last = map(int, self.headers["Range"].removeprefix("bytes=").split("-"))
            status, body = 206, DATA[first : last + 1]
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def store() -> Iterator[Store]:
    with Store() as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.05,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def files_of(store: Store) -> FileServer:
    web = Web(10.0, Limiter())
    address = f"{store.url}/token/{{account}}/{{container}}"
    return FileServer(web, TokenSigner(web, address, re.compile(r"127\.0\.0\.1")))


def test_one_token_serves_all_threads(store: Store) -> None:
    files = files_of(store)
    with ThreadPoolExecutor(8) as pool:
        read = pool.map(lambda i: files.read(f"{store.url}/files/a.tif", i, 10), range(40))
        assert list(read) == [DATA[i : i + 10] for i in range(40)]
    assert store.tokens == 1


def test_a_token_is_renewed_before_it_expires(store: Store) -> None:
    files = files_of(store)
    store.lasts = timedelta(minutes=4)
    for _ in range(3):
        files.read(f"{store.url}/files/a.tif", 0, 10)
    assert store.tokens == 3


def test_a_refused_token_is_renewed_once(store: Store) -> None:
    files = files_of(store)
    files.read(f"{store.url}/files/a.tif", 0, 10)
    store.tokens += 1  # the token of the client is no longer valid
    assert files.read(f"{store.url}/files/a.tif", 5, 10) == DATA[5:15]
    with pytest.raises(SourceError):
        files.read(f"{store.url}/other/a.tif", 0, 10)  # no token for this container


def test_an_unreadable_answer_is_a_transient_failure(store: Store) -> None:
    store.answer = b"<html>"
    with pytest.raises(TransientError, match="no token"):
        files_of(store).read(f"{store.url}/files/a.tif", 0, 10)


def test_files_of_the_planetary_computer_are_signed() -> None:
    preset = PRESETS["planetary-computer"]
    assert preset.token_url
    assert AZURE_HOSTS.fullmatch("sentinel2l2a01.blob.core.windows.net")
    public = TokenSigner(Web(1.0, Limiter()), preset.token_url)
    assert public.sign("https://example.com/a.tif") == "https://example.com/a.tif"


def test_the_reader_of_a_service_with_tokens_signs(store: Store, tmp_path: object) -> None:
    from tests.support.stac_server.server import StacServer

    with StacServer() as api:
        preset = replace(
            PRESETS["planetary-computer"],
            url=api.url,
            token_url=f"{store.url}/token/{{account}}/{{container}}",
        )
        source = StacSource(preset, 10.0, Limiter())
        files = source._reader._files  # type: ignore[attr-defined]
        assert isinstance(files._signer, TokenSigner)
