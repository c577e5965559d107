"""HTTP client of the image sources: deadline, proxy, limiter, and failures as `TransientError`."""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import certifi
import urllib3
from urllib3.exceptions import (
    DecodeError,
    HTTPError,
    IncompleteRead,
    NewConnectionError,
    ProxyError,
    TimeoutError,
)

from caco_data.errors import TransientError
from caco_data.sources.connections import POOLS, set_deadline
from caco_data.sources.limiter import Limiter
from caco_data.sources.proxy import find_proxy

#: Timeout of a connection attempt, seconds.
CONNECT_S = 10.0
#: Maximum number of connections kept open; more than a process has threads by default.
_POOL = 64
_CHUNK = 1 << 18  # bytes
_CERTIFICATE_REMEDY = (
    "Log in to this network with a browser, or set REQUESTS_CA_BUNDLE to its CA certificates"
)


def host_of(url: str) -> str:
    """Return host and port of an address, without user and password."""
    return urlsplit(url).netloc.rpartition("@")[2]


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """A complete response, of any status."""

    status: int
    fields: dict[str, str]
    """Header fields by name in lower case."""
    content: bytes


class HttpClient:
    """Sends requests to the services at one address; may be used from several threads.

    Parameters
    ----------
    url : str
        Address of the service; decides whether the environment's proxy is used.
    deadline_s : float
        Timeout of a request from the connection to the end of the response, seconds.
    limiter : Limiter
        Admits each request.
    option : str
        Option with the address, for messages.

    Raises
    ------
    InputError
        When the environment's proxy cannot be used.
    """

    def __init__(self, url: str, deadline_s: float, limiter: Limiter, option: str) -> None:
        self._deadline_s = deadline_s
        self._limiter = limiter
        self._remedy = f"Log in to this network with a browser, or check {option}"
        self._proxy = find_proxy(url)
        settings: dict[str, Any] = {
            "maxsize": _POOL,
            "retries": False,
            "timeout": urllib3.Timeout(connect=min(CONNECT_S, deadline_s), read=deadline_s),
            "ca_certs": os.environ.get("REQUESTS_CA_BUNDLE") or certifi.where(),
        }
        self._pool = (
            urllib3.ProxyManager(self._proxy.url, proxy_headers=self._proxy.headers, **settings)
            if self._proxy
            else urllib3.PoolManager(**settings)
        )
        self._pool.pool_classes_by_scheme = POOLS

    def send(
        self,
        method: str,
        url: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        max_nbytes: int | None = None,
    ) -> HttpResponse:
        """Send a request once; redirections are not followed.

        Parameters
        ----------
        method, url, body, headers
            The request.
        max_nbytes : int, optional
            Length at which a longer body is cut off.

        Raises
        ------
        TransientError
            For a refused or dropped connection, a short or corrupt body and a missed deadline.
        """
        try:
            with self._limiter.request():
                set_deadline(self._deadline_s)
                answer = self._pool.request(
                    method, url, body=body, headers=headers, preload_content=False, redirect=False
                )
                chunks, nbytes = [], 0
                while chunk := answer.read1(_CHUNK):
                    chunks.append(chunk)
                    nbytes += len(chunk)
                    if max_nbytes is not None and nbytes > max_nbytes:
                        answer.close()  # instead of reading a whole file
                        break
                answer.release_conn()
        except HTTPError as error:
            raise self._failure(error, url) from error
        fields = {key.lower(): value for key, value in answer.headers.items()}
        return HttpResponse(answer.status, fields, b"".join(chunks)[:max_nbytes])

    def intercepted(
        self, what: str, url: str, detail: str, remedy: str | None = None
    ) -> TransientError:
        """Return the exception for a response of a proxy or a login page."""
        if self._proxy and remedy is None:
            remedy = f"Check the proxy {self._proxy.host} and its login in {self._proxy.variable}"
        remedy = remedy or self._remedy
        return TransientError(what, f"{host_of(url)}: {detail}", remedy, intercepted=True)

    def _failure(self, error: HTTPError, url: str) -> TransientError:
        """Return the exception for a request without a complete response."""
        host = host_of(url)
        causes = list(_causes(error))
        cause = str(causes[-1]).rsplit(": ", 1)[-1]
        tunnel = re.search(r"Tunnel connection failed: (\d+)", str(causes[-1]))
        # An error 5xx of the proxy: the network behind it is not available.
        if tunnel and not tunnel[1].startswith("5"):
            return self.intercepted("connection refused by the proxy", url, f"HTTP {tunnel[1]}")
        if isinstance(error, ProxyError) and not tunnel:
            return self.intercepted("no connection to the proxy", url, cause)
        if any(isinstance(one, ssl.SSLCertVerificationError) for one in causes):
            return self.intercepted("untrusted certificate", url, cause, _CERTIFICATE_REMEDY)
        if isinstance(error, TimeoutError) and not isinstance(error, NewConnectionError):
            return TransientError(
                "timeout", f"{host}: no complete answer in {self._deadline_s:g} s"
            )
        if isinstance(error, (DecodeError, IncompleteRead)):
            return TransientError("corrupt body", host)
        return TransientError("connection", f"{host}: {cause}")


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an exception and those that caused it, the original one last."""
    while error is not None:
        yield error
        error = getattr(error, "original_error", None) or error.__cause__ or error.__context__
