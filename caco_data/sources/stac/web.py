"""Requests to all hosts of a run: the STAC API and the servers of the files."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from typing import Protocol
from urllib.parse import urlsplit

from caco_data.errors import PermanentError, TransientError
from caco_data.sources.http_client import HttpClient, HttpResponse
from caco_data.sources.limiter import Limiter
from caco_data.sources.stac.failures import file_failure

#: Regions of public buckets whose items have addresses s3://BUCKET/KEY.
_REGIONS = {
    "sentinel-cogs": "us-west-2",
    "e84-earth-search-sentinel-data": "us-west-2",
    "sentinel-s2-l2a": "eu-central-1",
}
#: Longest accepted body of an error, bytes.
_MAX_ERROR_NBYTES = 1 << 16


class Signer(Protocol):
    """Makes the address of a file usable, for files that are not public."""

    def sign(self, url: str) -> str:
        """Return the address with a valid signature."""
        ...

    def refused(self, url: str) -> bool:
        """Take note that a signed address was refused; return whether to sign it again."""
        ...


class Web:
    """Sends requests; may be used from several threads.

    Parameters
    ----------
    deadline_s : float
        Timeout of a request, seconds.
    limiter : Limiter
        Admits each request.
    """

    def __init__(self, deadline_s: float, limiter: Limiter) -> None:
        self._deadline_s = deadline_s
        self._limiter = limiter
        self._lock = threading.Lock()
        self._clients: dict[str, HttpClient] = {}

    def send(
        self,
        method: str,
        url: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        max_nbytes: int | None = None,
    ) -> HttpResponse:
        """Send a request once; see `HttpClient.send`."""
        return self._client(url).send(method, url, body, headers, max_nbytes)

    def _client(self, url: str) -> HttpClient:
        parts = urlsplit(url)
        key = f"{parts.scheme}://{parts.netloc}"
        with self._lock:
            if key not in self._clients:
                self._clients[key] = HttpClient(key, self._deadline_s, self._limiter, "--stac-url")
            return self._clients[key]


class FileServer:
    """Reads parts of files.

    Parameters
    ----------
    web : Web
        Sends the requests.
    signer : Signer, optional
        Signs the addresses of files.
    """

    def __init__(self, web: Web, signer: Signer | None = None) -> None:
        self._web = web
        self._signer = signer

    def read(self, href: str, start: int, nbytes: int, at_most: bool = False) -> bytes:
        """Read a part of a file.

        Parameters
        ----------
        href : str
            Address, https or s3.
        start, nbytes : int
            Position and length of the part, bytes.
        at_most : bool
            Whether the file may end before the end of the part.

        Raises
        ------
        TransientError
            For failures of the connection, of the server or of a signature; `uncertain` when the
            file may be shorter than stated.
        PermanentError
            When the file does not exist or its address cannot be used.
        """
        url = https_url(href)
        headers = {"Range": f"bytes={start}-{start + nbytes - 1}"}
        for attempt in range(2):
            signed = self._signer.sign(url) if self._signer else url
            limit = max(nbytes, _MAX_ERROR_NBYTES)
            response = self._web.send("GET", signed, headers=headers, max_nbytes=limit)
            again = response.status in (401, 403) and self._signer and attempt == 0
            if not (again and self._signer and self._signer.refused(signed)):
                break
        if response.status != 206:
            raise file_failure(response, href)
        if not at_most and len(response.content) != nbytes:
            raise TransientError("file shorter than stated", href, uncertain=True)
        return response.content


def https_url(href: str) -> str:
    """Return the https address of a file.

    Raises
    ------
    PermanentError
        For an address that is neither http, https nor s3.
    """
    if href.startswith(("https://", "http://")):
        return href
    match = re.fullmatch(r"s3://([^/]+)/(.+)", href)
    if match is None:
        raise PermanentError("The address of the file cannot be used", href)
    region = _REGIONS.get(match[1])
    host = f"s3.{region}.amazonaws.com" if region else "s3.amazonaws.com"
    return f"https://{match[1]}.{host}/{match[2]}"
