"""Proxy of the environment: HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY.

User and password in the proxy's address are sent to the proxy only, and are in no message.
"""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass, field
from urllib.parse import unquote_to_bytes, urlsplit
from urllib.request import getproxies, proxy_bypass

from urllib3.exceptions import HTTPError
from urllib3.util import parse_url

from caco_data.errors import InputError

LOOPBACK = ("127.0.0.1", "localhost", "::1")

_REMEDY = (
    "Set it to http://HOST:PORT or http://USER:PASSWORD@HOST:PORT, with special characters of user "
    "and password percent-encoded (%40 for @)"
)


@dataclass(frozen=True, slots=True)
class Proxy:
    """An HTTP proxy."""

    url: str
    """Address without user and password."""
    variable: str
    """Environment variable that contains it, in upper case."""
    headers: dict[str, str] = field(repr=False)
    """Headers for the proxy: its authorisation, or none."""

    @property
    def host(self) -> str:
        """Host and port."""
        return urlsplit(self.url).netloc


def find_proxy(url: str) -> Proxy | None:
    """Return the environment's proxy for an address; None for a direct connection.

    Raises
    ------
    InputError
        When the proxy's address cannot be used; names the variable, not the address.
    """
    target = urlsplit(url)
    if target.hostname in LOOPBACK or proxy_bypass(target.netloc.rpartition("@")[2]):
        return None
    found = getproxies()
    for scheme in (target.scheme, "all"):
        if address := found.get(scheme):
            return _parse(address, f"{scheme.upper()}_PROXY")
    return None


def _parse(address: str, variable: str) -> Proxy:
    try:
        parts = parse_url(address if "://" in address else f"http://{address}")
    except HTTPError:
        raise InputError("The proxy's address is not valid", variable, _REMEDY) from None
    if parts.scheme not in ("http", "https") or not parts.host:
        raise InputError("Only http and https proxies are supported", variable, _REMEDY)
    headers = {}
    if parts.auth:
        # Bytes: a password may contain characters that urllib3's `make_headers` cannot encode.
        token = b64encode(unquote_to_bytes(parts.auth)).decode()
        headers["proxy-authorization"] = f"Basic {token}"
    return Proxy(parts._replace(auth=None, path=None, query=None).url, variable, headers)
