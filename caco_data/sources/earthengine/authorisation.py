"""Bearer tokens for requests to Earth Engine: one renewal for all threads, with a deadline.

google-auth's transports renew a token once per thread and without a deadline for the whole
response. Here `ee.Initialize` receives no credentials, and its transport adds the token.
"""

from __future__ import annotations

import re
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httplib2
import requests
from google.auth.credentials import TokenState

from caco_data.errors import CacoDataError, InputError, RefusedError, TransientError
from caco_data.sources.earthengine.credentials import FoundCredentials, is_encrypted, quiet

#: Maximum duration of a renewal, seconds.
RENEWAL_S = 30.0
_CONNECT_S = 10.0
_NETWORK_REMEDY = "Check HTTPS_PROXY, REQUESTS_CA_BUNDLE and the login page of this network"
_NAMES = {
    "service-account key": "the service-account key",
    "application default": "the application default credentials",
    "earthengine authenticate": "the credentials of 'earthengine authenticate'",
    "metadata server": "the service account of this machine",
}
#: Temporary errors of a token endpoint with HTTP status 4xx.
_TEMPORARY = re.compile(
    r"internal|server_error|temporar|unavailable|rate.?limit|quota|timeout|slow_down|too.?many",
    re.IGNORECASE,
)
_CLOCK = re.compile(r"timeframe|\biat\b|\bexp\b", re.IGNORECASE)
_TOKEN = re.compile(r"[\x21-\x7e]+")


class Authorisation:
    """The bearer token of some credentials; may be used from several threads.

    Parameters
    ----------
    found : FoundCredentials
        Credentials of any kind but `none`.
    deadline_s : float
        Maximum duration of a renewal, seconds; at most `RENEWAL_S`.
    """

    def __init__(self, found: FoundCredentials, deadline_s: float) -> None:
        self._found = found
        self._deadline_s = min(deadline_s, RENEWAL_S)
        self._lock = threading.Lock()
        self._renewal: Future[str] | None = None
        self._end = 0.0

    def token(self, refused: str = "") -> str:
        """Return a valid token; renew it if it has expired or if the service refused it.

        Threads that ask during a renewal wait for its result.

        Raises
        ------
        TransientError
            When the token endpoint cannot be reached or does not respond correctly.
        RefusedError
            When it refuses the credentials.
        InputError
            When the request for a token would be sent unencrypted.
        """
        credentials = self._found.credentials
        with self._lock:
            if credentials.token_state is TokenState.FRESH and credentials.token != refused:
                return str(credentials.token)
            if self._renewal is None or self._renewal.done():
                self._renewal = self._start()
                self._end = time.monotonic() + self._deadline_s
            renewal, end = self._renewal, self._end
        try:
            return renewal.result(max(0.0, end - time.monotonic()))
        except TimeoutError:
            with self._lock:
                if self._renewal is renewal:
                    self._renewal = None  # the next call starts another
            raise TransientError(
                "token endpoint", f"no response within {self._deadline_s:g} s"
            ) from None

    def rejection(self) -> RefusedError:
        """Return the error for a service that rejects a new token."""
        name = _NAMES[self._found.kind]
        return RefusedError(f"Earth Engine rejects {name}", self._found.where, self._found.remedy)

    def _start(self) -> Future[str]:
        """Renew the token in a thread, because not every library call in it has a deadline."""
        renewal: Future[str] = Future()

        def renew() -> None:
            try:
                renewal.set_result(self._renewed())
            except CacoDataError as error:
                renewal.set_exception(error.without_cause())
            except BaseException as error:
                renewal.set_exception(error)

        threading.Thread(target=renew, name="token renewal", daemon=True).start()
        return renewal

    def _renewed(self) -> str:
        credentials, request = self._found.credentials, _TokenRequest(self._deadline_s)
        try:
            with quiet():
                credentials.refresh(request)
            token = credentials.token
        except CacoDataError:
            raise
        # Original messages are not repeated: they may quote a token. A failure without a request
        # is permanent, such as a file without the necessary fields.
        except Exception:
            if request.status != 200:
                raise self._refusal(request.error) from None
            token = None
        if not isinstance(token, str) or not _TOKEN.fullmatch(token):
            raise TransientError("token endpoint", f"{request.host}: no token in the response")
        return token

    def _refusal(self, error: str) -> RefusedError:
        found = self._found
        code = error.split(":")[0]
        if code == "invalid_grant" and _CLOCK.search(error):
            reason, remedy = "the clock of this machine is wrong", "Set the clock of this machine"
        elif code == "invalid_grant":
            of_key = found.kind == "service-account key"
            reason = "key deleted, or account disabled" if of_key else "expired or revoked"
            remedy = found.remedy
        else:
            reason = code if re.fullmatch(r"[a-z_]{3,40}", code) else "not usable"
            remedy = found.remedy
        return RefusedError(f"Google refuses {_NAMES[found.kind]}: {reason}", found.where, remedy)


@dataclass(frozen=True, slots=True)
class _Response:
    """A response in the form that google-auth requires."""

    status: int
    headers: Any
    data: bytes


class _TokenRequest:
    """Sends the requests of one renewal, like `google.auth.transport.Request`."""

    def __init__(self, deadline_s: float) -> None:
        self._timeout = (min(_CONNECT_S, deadline_s), deadline_s)
        self.host = ""
        self.status = 0
        """HTTP status of the last response; 0 before it."""
        self.error = ""
        """OAuth error of the last response: `code: description`."""

    def __call__(
        self,
        url: str,
        method: str = "GET",
        body: Any = None,
        headers: Any = None,
        timeout: float | None = None,
        **options: Any,
    ) -> _Response:
        parts = urlsplit(url)
        self.host, self.status, self.error = parts.netloc.rsplit("@", 1)[-1], 0, ""
        # Metadata servers, which have no encryption, are asked with GET or PUT.
        if method == "POST" and not is_encrypted(url):
            raise InputError(
                "The request for a token would be sent unencrypted",
                self.host,
                "Check token_uri in the credentials file",
            )
        try:
            with requests.Session() as session:
                # Only metadata servers and addresses of this machine, never reached by a proxy.
                session.trust_env = parts.scheme == "https"
                response = session.request(
                    method, url, data=body, headers=headers, timeout=self._timeout,
                    allow_redirects=False, **options,
                )  # fmt: skip
        except (OSError, ValueError) as error:
            raise self._unreachable(error) from None
        self._check(method, response)
        return _Response(response.status_code, response.headers, response.content)

    def _check(self, method: str, response: requests.Response) -> None:
        """Raise TransientError unless the token endpoint itself has responded."""
        self.status = status = response.status_code
        if status >= 500 or status in (408, 429):
            raise TransientError("token endpoint", f"{self.host}: HTTP {status}")
        if 300 <= status < 400 or status == 407:
            raise self._intercepted(f"HTTP {status}")
        if method != "POST":
            return
        try:
            content = response.json()
        except ValueError:
            raise self._intercepted("the response is not JSON") from None
        if status != 200 and isinstance(content, dict):
            self.error = f"{content.get('error')}: {content.get('error_description')}"
        if _TEMPORARY.search(self.error):
            raise TransientError("token endpoint", f"{self.host}: HTTP {status}")

    def _unreachable(self, error: Exception) -> TransientError:
        if isinstance(error, requests.Timeout):
            return TransientError("token endpoint", f"{self.host}: timeout")
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            return self._intercepted("its certificate is not trusted")
        if isinstance(error, requests.exceptions.ProxyError) and "407" in str(error):
            return self._intercepted("the proxy requires a password")
        if isinstance(error, ValueError) or not isinstance(error, requests.RequestException):
            return self._intercepted("its address, the proxy or the CA file is not valid")
        return TransientError("token endpoint", f"{self.host}: connection failed")

    def _intercepted(self, what: str) -> TransientError:
        return TransientError(
            "token endpoint", f"{self.host}: {what}", _NETWORK_REMEDY, intercepted=True
        )


class AuthorisedTransport:
    """A transport that adds the bearer token to requests to one address.

    Parameters
    ----------
    transport : object
        Sends the requests; has the method `request` of `httplib2.Http`, which follows no redirect.
    found : FoundCredentials
        Credentials; with the kind `none`, requests are sent without a token.
    url : str
        Address of the service; requests to other hosts have no token.
    deadline_s : float
        Maximum duration of a renewal of the token, seconds.
    """

    def __init__(
        self, transport: Any, found: FoundCredentials, url: str, deadline_s: float
    ) -> None:
        self._transport = transport
        self._origin = urlsplit(url)[:2]
        self._authorisation = Authorisation(found, deadline_s) if found.credentials else None

    def request(
        self,
        uri: str,
        method: str = "GET",
        body: Any = None,
        headers: dict[str, str] | None = None,
        redirections: int | None = None,
        connection_type: Any = None,
    ) -> tuple[httplib2.Response, bytes]:
        """Send a request, like `httplib2.Http.request`; renew the token once after a 401.

        Raises
        ------
        TransientError
            As the transport, and when the token endpoint fails.
        RefusedError
            When the token endpoint refuses the credentials, or the service a new token.
        """
        authorisation = self._authorisation
        if authorisation is None or urlsplit(uri)[:2] != self._origin:
            return self._send(uri, method, body, headers or {})
        token = authorisation.token()
        response, content = self._send(uri, method, body, _with_token(headers, token))
        if response.status == 401:
            token = authorisation.token(refused=token)
            response, content = self._send(uri, method, body, _with_token(headers, token))
            if response.status == 401 and "json" in response.get("content-type", ""):
                raise authorisation.rejection()
        return response, content

    def _send(
        self, uri: str, method: str, body: Any, headers: dict[str, str]
    ) -> tuple[httplib2.Response, bytes]:
        answer: tuple[httplib2.Response, bytes] = self._transport.request(
            uri, method, body=body, headers=headers
        )
        return answer


def _with_token(headers: dict[str, str] | None, token: str) -> dict[str, str]:
    return {**(headers or {}), "authorization": f"Bearer {token}"}
