"""HTTP transport for the Earth Engine client: httplib2's interface, implemented with urllib3.

The client's default transport has ten connections, too few for forty threads, and no deadline.
This one has a connection per thread and limits the duration of requests. It also applies the
limiter, and reduces the discovery document to the methods that are used: on every call the client
builds a Python function from each method in it, which took most of a call's CPU time.
"""

from __future__ import annotations

import json
import os
import time
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import certifi
import httplib2
import urllib3

from caco_data.errors import TransientError
from caco_data.sources.limiter import Limiter

#: Timeout of a connection attempt, seconds.
CONNECT_S = 10.0
#: Maximum number of connections kept open; more than a process has threads by default.
_POOL = 64
_CHUNK = 1 << 18  # bytes
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
#: Methods used, per resource under `projects`.
METHODS = {"algorithms": ("list",), "assets": ("listAssets", "getPixels")}


class Transport:
    """Transport for `ee.Initialize(http_transport=)`; may be used from several threads.

    Parameters
    ----------
    url : str
        Address of the service; decides whether the environment's proxy is used.
    deadline_s : float
        Timeout of a request as a whole, and of each wait for data, seconds.
    limiter : Limiter
        Admits each request.
    """

    def __init__(self, url: str, deadline_s: float, limiter: Limiter) -> None:
        self._deadline_s = deadline_s
        self._limiter = limiter
        parts = urlsplit(url)
        direct = parts.hostname in _LOOPBACK or proxy_bypass(parts.netloc)
        proxy = None if direct else getproxies().get(parts.scheme)
        settings: dict[str, Any] = {
            "maxsize": _POOL,
            "retries": False,
            "timeout": urllib3.Timeout(connect=min(CONNECT_S, deadline_s), read=deadline_s),
            "ca_certs": os.environ.get("REQUESTS_CA_BUNDLE") or certifi.where(),
        }
        self._pool = (
            urllib3.ProxyManager(proxy, **settings) if proxy else urllib3.PoolManager(**settings)
        )

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
            For a refused or dropped connection, a short or corrupt body, a missed deadline.
        """
        try:
            with self._limiter.request():
                deadline = time.monotonic() + self._deadline_s
                answer = self._pool.request(
                    method, uri, body=body, headers=headers, preload_content=False, redirect=False
                )
                content = self._read(answer, deadline)
        except urllib3.exceptions.TimeoutError as error:
            if isinstance(error, urllib3.exceptions.NewConnectionError):
                raise TransientError("connection", f"{_host(uri)}: {_cause(error)}") from error
            raise TransientError("timeout", _host(uri)) from error
        except (urllib3.exceptions.DecodeError, urllib3.exceptions.IncompleteRead) as error:
            raise TransientError("corrupt body", _host(uri)) from error
        except urllib3.exceptions.HTTPError as error:
            raise TransientError("connection", f"{_host(uri)}: {_cause(error)}") from error
        if answer.status == 200 and "/$discovery/" in uri:
            content = reduced_discovery(content)
        fields = {key.lower(): value for key, value in answer.headers.items()}
        return httplib2.Response({**fields, "status": answer.status}), content

    def _read(self, answer: urllib3.BaseHTTPResponse, deadline: float) -> bytes:
        """Read a body in chunks and check the deadline, which many short reads could exceed."""
        chunks = []
        while chunk := answer.read1(_CHUNK):
            chunks.append(chunk)
            if time.monotonic() > deadline:
                answer.close()
                raise TransientError("deadline", f"{self._deadline_s:g} s")
        answer.release_conn()
        return b"".join(chunks)


def reduced_discovery(document: bytes) -> bytes:
    """Return a discovery document with the used methods only; unchanged if it is malformed."""
    try:
        api = json.loads(document)
        kept = {}
        for name, methods in METHODS.items():
            resource = api["resources"]["projects"]["resources"][name]
            kept[name] = {"methods": {method: resource["methods"][method] for method in methods}}
        api["resources"] = {"projects": {"resources": kept}}
    except (ValueError, LookupError, TypeError):
        return document
    return json.dumps(api).encode()


def _host(uri: str) -> str:
    return urlsplit(uri).netloc


def _cause(error: Exception) -> str:
    """Return the operating system's message for the underlying error."""
    return str(getattr(error, "reason", None) or error).rsplit(": ", 1)[-1]
