"""Signed addresses of files in Azure containers, as the Planetary Computer requires them."""

from __future__ import annotations

import json
import re
import threading
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from caco_data.errors import TransientError
from caco_data.sources.stac.failures import api_failure
from caco_data.sources.stac.web import Web

#: A token is renewed this long before it expires: a request may wait for its turn.
_MARGIN = timedelta(minutes=5)
#: Hosts of Azure's containers, whose first part is the account.
AZURE_HOSTS = re.compile(r"[a-z0-9]+\.blob\.core\.windows\.net")


class TokenSigner:
    """Adds the token of a container to addresses; may be used from several threads.

    Parameters
    ----------
    web : Web
        Sends the requests for tokens.
    token_url : str
        Address that issues tokens, with `{account}` and `{container}`.
    hosts : re.Pattern
        Hosts whose files need a token.
    """

    def __init__(self, web: Web, token_url: str, hosts: re.Pattern[str] = AZURE_HOSTS) -> None:
        self._web = web
        self._token_url = token_url
        self._hosts = hosts
        self._lock = threading.Lock()
        self._tokens: dict[tuple[str, str], tuple[str, datetime]] = {}

    def sign(self, url: str) -> str:
        """Return an address with a valid token; other addresses unchanged.

        Raises
        ------
        TransientError
            When no token can be obtained at the moment.
        """
        container = self._container(url)
        if container is None:
            return url
        with self._lock:  # one request for a token, for which all threads wait
            known = self._tokens.get(container)
            if known is None or known[1] - _MARGIN <= datetime.now(UTC):
                known = self._tokens[container] = self._request(*container)
        return f"{url}{'&' if '?' in url else '?'}{known[0]}"

    def refused(self, url: str) -> bool:
        """Forget the token of a refused address; return whether a new one may help."""
        container = self._container(url)
        if container is None:
            return False
        with self._lock:
            known = self._tokens.get(container)
            if known is not None and url.endswith(known[0]):
                del self._tokens[container]
        return True

    def _container(self, url: str) -> tuple[str, str] | None:
        parts = urlsplit(url)
        if not self._hosts.fullmatch(parts.hostname or ""):
            return None
        return (parts.hostname or "").split(".")[0], parts.path.split("/")[1]

    def _request(self, account: str, container: str) -> tuple[str, datetime]:
        url = self._token_url.format(account=account, container=container)
        where = urlsplit(url).netloc
        response = self._web.send("GET", url)
        if response.status != 200:
            error = api_failure(response, where)
            raise TransientError(f"no token: {error.what}", where)
        try:
            answer = json.loads(response.content)
            expiry = datetime.fromisoformat(answer["msft:expiry"].replace("Z", "+00:00"))
            return str(answer["token"]), expiry
        except (ValueError, LookupError, TypeError, AttributeError):
            raise TransientError("no token: unreadable response", where) from None
