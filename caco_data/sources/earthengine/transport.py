"""HTTP transport for the Earth Engine client: httplib2's interface, implemented with urllib3.

The client's default transport has ten connections, too few for forty threads, and no deadline.
This one has a connection per thread and limits the duration of requests. It also applies the
limiter, and reduces the discovery document to the methods that are used: on every call the client
builds a Python function from each method in it, which took most of a call's CPU time.
"""

from __future__ import annotations

import json
import os
import re
import ssl
from collections.abc import Iterator
from typing import Any

import certifi
import httplib2
import urllib3
from urllib3.exceptions import (
    DecodeError,
    HTTPError,
    IncompleteRead,
    NewConnectionError,
    ProxyError,
    TimeoutError,
)

from caco_data.errors import PermanentError, TransientError
from caco_data.sources.earthengine.connections import POOLS, set_deadline
from caco_data.sources.earthengine.endpoint import host_of
from caco_data.sources.earthengine.failures import foreign_response
from caco_data.sources.earthengine.proxy import find_proxy
from caco_data.sources.limiter import Limiter

#: Timeout of a connection attempt, seconds.
CONNECT_S = 10.0
#: Maximum number of connections kept open; more than a process has threads by default.
_POOL = 64
_CHUNK = 1 << 18  # bytes
_NETWORK_REMEDY = "Log in to this network with a browser, or check --ee-url"
_CERTIFICATE_REMEDY = (
    "Log in to this network with a browser, or set REQUESTS_CA_BUNDLE to its CA certificates"
)
#: Methods used, per resource under `projects`.
METHODS = {"algorithms": ("list",), "assets": ("listAssets", "getPixels")}
#: Header of a response that reports the restricted mode: the service processes fewer requests of
#: this project in parallel (Earth Engine guide, "Noncommercial tiers"). The client would issue a
#: warning.
_QUOTA_STATUS = "x-earth-engine-quota-status"
#: Occurs in every page of a listing; other JSON was not sent by the service.
_LISTING = re.compile(rb'"(assets|nextPageToken)"|\A\s*\{\s*\}\s*\Z')


class Transport:
    """Transport for `ee.Initialize(http_transport=)`; may be used from several threads.

    Parameters
    ----------
    url : str
        Address of the service; decides whether the environment's proxy is used.
    deadline_s : float
        Timeout of a request from the connection to the end of the response, seconds.
    limiter : Limiter
        Admits each request.

    Raises
    ------
    InputError
        When the environment's proxy cannot be used.
    """

    def __init__(self, url: str, deadline_s: float, limiter: Limiter) -> None:
        self._deadline_s = deadline_s
        self._limiter = limiter
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

    def request(
        self,
        uri: str,
        method: str = "GET",
        body: Any = None,
        headers: dict[str, str] | None = None,
        redirections: int | None = None,
        connection_type: Any = None,
    ) -> tuple[httplib2.Response, bytes]:
        """Send a request, like `httplib2.Http.request`.

        Raises
        ------
        TransientError
            For a refused or dropped connection, a short or corrupt body, a missed deadline, and a
            response of a proxy, a login page or another server.
        PermanentError
            When the address is that of another service.
        """
        fields, content = self._send(uri, method, body, headers)
        status = int(fields["status"])
        if what := foreign_response(status, fields.get("content-type", ""), content):
            target = re.match(r"https?://([^/?#@]+)", fields.get("location", ""))
            to = f" to {target[1]}" if target else ""
            raise self._intercepted(what, uri, f"HTTP {status}{to}")
        if 200 <= status < 300 and (
            status > 200 or (":listAssets" in uri and not _LISTING.search(content))
        ):
            raise TransientError("corrupt body", host_of(uri))
        if status == 200 and "/$discovery/" in uri:
            content = reduced_discovery(content)
        if "parallelism_restricted=true" in fields.pop(_QUOTA_STATUS, "").lower():
            self._limiter.restrict()
        return httplib2.Response(fields), content

    def _send(
        self, uri: str, method: str, body: Any, headers: dict[str, str] | None
    ) -> tuple[dict[str, Any], bytes]:
        """Send a request once; return the fields of the response with its status, and the body."""
        try:
            with self._limiter.request():
                set_deadline(self._deadline_s)
                answer = self._pool.request(
                    method, uri, body=body, headers=headers, preload_content=False, redirect=False
                )
                chunks = []
                while chunk := answer.read1(_CHUNK):
                    chunks.append(chunk)
                answer.release_conn()
        except HTTPError as error:
            raise self._failure(error, uri) from error
        fields = {key.lower(): value for key, value in answer.headers.items()}
        return {**fields, "status": answer.status}, b"".join(chunks)

    def _failure(self, error: HTTPError, uri: str) -> TransientError:
        """Return the exception for a request without a complete response."""
        host = host_of(uri)
        causes = list(_causes(error))
        cause = str(causes[-1]).rsplit(": ", 1)[-1]
        tunnel = re.search(r"Tunnel connection failed: (\d+)", str(causes[-1]))
        # An error 5xx of the proxy: the network behind it is not available.
        if tunnel and not tunnel[1].startswith("5"):
            return self._intercepted("connection refused by the proxy", uri, f"HTTP {tunnel[1]}")
        if isinstance(error, ProxyError) and not tunnel:
            return self._intercepted("no connection to the proxy", uri, cause)
        if any(isinstance(one, ssl.SSLCertVerificationError) for one in causes):
            return self._intercepted("untrusted certificate", uri, cause, _CERTIFICATE_REMEDY)
        if isinstance(error, TimeoutError) and not isinstance(error, NewConnectionError):
            return TransientError(
                "timeout", f"{host}: no complete answer in {self._deadline_s:g} s"
            )
        if isinstance(error, (DecodeError, IncompleteRead)):
            return TransientError("corrupt body", host)
        return TransientError("connection", f"{host}: {cause}")

    def _intercepted(
        self, what: str, uri: str, detail: str, remedy: str = _NETWORK_REMEDY
    ) -> TransientError:
        if self._proxy and remedy == _NETWORK_REMEDY:
            remedy = f"Check the proxy {self._proxy.host} and its login in {self._proxy.variable}"
        return TransientError(what, f"{host_of(uri)}: {detail}", remedy, intercepted=True)


def reduced_discovery(document: bytes) -> bytes:
    """Return a discovery document with the used methods only; unchanged if it has others.

    Raises
    ------
    TransientError
        When it is not JSON.
    PermanentError
        When it is JSON, but not a discovery document.
    """
    try:
        api = json.loads(document)
    except (ValueError, RecursionError):
        raise TransientError("corrupt body", "discovery document") from None
    if not isinstance(api, dict) or "rootUrl" not in api:
        raise PermanentError("Earth Engine is not at this address")
    try:
        used = {}
        for name, methods in METHODS.items():
            resource = api["resources"]["projects"]["resources"][name]
            used[name] = {"methods": {method: resource["methods"][method] for method in methods}}
        api["resources"] = {"projects": {"resources": used}}
    except (LookupError, TypeError):
        return document
    return json.dumps(api).encode()


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an exception and those that caused it, the original one last."""
    while error is not None:
        yield error
        error = getattr(error, "original_error", None) or error.__cause__ or error.__context__
