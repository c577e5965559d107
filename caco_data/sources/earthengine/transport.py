"""HTTP transport for the Earth Engine client: httplib2's interface, implemented with urllib3.

The client's default transport has ten connections, too few for forty threads, and no deadline.
This one has a connection per thread and limits the duration of requests. It also applies the
limiter, and reduces the discovery document to the methods that are used: on every call the client
builds a Python function from each method in it, which took most of a call's CPU time.
"""

from __future__ import annotations

import json
import re
from typing import Any

import httplib2

from caco_data.errors import PermanentError, TransientError
from caco_data.sources.earthengine.failures import foreign_response
from caco_data.sources.http_client import HttpClient, host_of
from caco_data.sources.limiter import Limiter

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
        self._client = HttpClient(url, deadline_s, limiter, "--ee-url")
        self._limiter = limiter

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
        response = self._client.send(method, uri, body, headers)
        fields, content, status = response.fields, response.content, response.status
        if what := foreign_response(status, fields.get("content-type", ""), content):
            target = re.match(r"https?://([^/?#@]+)", fields.get("location", ""))
            to = f" to {target[1]}" if target else ""
            raise self._client.intercepted(what, uri, f"HTTP {status}{to}")
        if 200 <= status < 300 and (
            status > 200 or (":listAssets" in uri and not _LISTING.search(content))
        ):
            raise TransientError("corrupt body", host_of(uri))
        if status == 200 and "/$discovery/" in uri:
            content = reduced_discovery(content)
        if "parallelism_restricted=true" in fields.pop(_QUOTA_STATUS, "").lower():
            self._limiter.restrict()
        return httplib2.Response({**fields, "status": status}), content


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
