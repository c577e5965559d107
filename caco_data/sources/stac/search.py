"""Searches of a STAC API with pystac-client, whose requests are sent by `Web`."""

from __future__ import annotations

import json
import threading
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from pystac import STACError
from pystac_client import Client
from pystac_client.errors import ClientTypeError
from pystac_client.exceptions import APIError
from pystac_client.stac_api_io import StacApiIO

from caco_data.errors import CacoDataError, InputError, PermanentError, TransientError
from caco_data.sources.geojson import region
from caco_data.sources.limiter import Limiter
from caco_data.sources.stac.failures import api_failure
from caco_data.sources.stac.items import Item, trimmed
from caco_data.sources.stac.mgrs import Area, TileSquare
from caco_data.sources.stac.presets import Preset
from caco_data.sources.stac.web import Web

#: Errors of pystac-client, and of its code with an unexpected response.
_CLIENT_ERRORS = (
    STACError, APIError, ClientTypeError, ValueError, LookupError, TypeError, AttributeError,
)  # fmt: skip
#: Properties with the name of a tile, and the text before the name.
TILE_PROPERTIES = {"grid:code": "MGRS-", "s2:mgrs_tile": ""}
#: Items requested per page; services send at most this many or more.
PAGE_SIZE = 200
#: A tile has about 150 acquisitions per year, each with a few products.
MAX_PAGES = 50


class _ApiIO(StacApiIO):
    """pystac-client's requests, sent by `Web` without its own retries."""

    def __init__(self, send: Callable[..., str]) -> None:
        super().__init__(max_retries=None)
        self._send = send

    def request(
        self,
        href: str,
        method: str | None = None,
        headers: dict[str, str] | None = None,
        parameters: dict[str, Any] | None = None,
    ) -> str:
        return self._send(href, method or "GET", headers or {}, parameters or {})


class StacApi:
    """A STAC API; may be used from several threads.

    Parameters
    ----------
    preset : Preset
        The service.
    web : Web
        Sends the requests.
    limiter : Limiter
        Limiter of the run: its share also applies to the maximum rate of searches.
    """

    def __init__(self, preset: Preset, web: Web, limiter: Limiter) -> None:
        self.preset = preset
        self._web = web
        self._limiter = limiter
        self._pace = Limiter()
        self._lock = threading.Lock()
        self._client: Client | None = None
        self._name = ""
        self._by_query = False

    def open(self) -> None:
        """Read the landing page, unless it has been read.

        Raises
        ------
        InputError
            When the address is not that of a STAC API.
        TransientError
            When it cannot be reached.
        """
        with self._lock:
            if self._client is None:
                client = self._opened()
                self._by_query = client.conforms_to("QUERY")
                self._name = self._tile_property(client)
                self._client = client

    @property
    def knows_tiles(self) -> bool:
        """Whether the service can search by the name of a tile."""
        self.open()
        return bool(self._name)

    def _opened(self) -> Client:
        url = self.preset.url
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # about conformance classes that are not stated
                client = Client.open(url, stac_io=_ApiIO(self._send))
            client.add_conforms_to("ITEM_SEARCH")  # otherwise every search would issue a warning
            return client
        except InputError:
            raise
        except PermanentError as error:
            raise InputError(error.what, url, "Check --stac-url") from error
        except _CLIENT_ERRORS as error:
            what = f"No STAC API at this address: {type(error).__name__}"
            raise InputError(what, url, "Check --stac-url") from error

    def _tile_property(self, client: Client) -> str:
        """Return the property with the name of a tile, if the service can search by it."""
        if not (self._by_query or client.conforms_to("FILTER")):
            return ""
        if self.preset.tile_property:
            return self.preset.tile_property
        search = client.search(collections=list(self.preset.collections), max_items=1, limit=1)
        first = next(iter(self._read(search.items_as_dicts)), None)
        properties = first["properties"] if first else {}
        return next((name for name in TILE_PROPERTIES if name in properties), "")

    def items(self, area: Area, year: int) -> list[Item]:
        """Return the trimmed items of a tile and a year.

        Raises
        ------
        TransientError
            When the service cannot be reached, or a listing is damaged: it must not be mistaken for
            one without items.
        PermanentError
            When it refuses the search.
        """
        self.open()
        assert self._client is not None
        preset, where = self.preset, self._where(area)
        period = f"{year}-01-01T00:00:00Z/{year + 1}-01-01T00:00:00Z"
        search = self._client.search(
            collections=list(preset.collections), datetime=period, limit=PAGE_SIZE, **where
        )
        found: dict[tuple[str, str], Item] = {}
        for number, page in enumerate(self._read(search.pages_as_dicts)):
            before = len(found)
            for item in page["features"]:
                one = trimmed(item, preset.url)
                found[one["collection"], one["id"]] = one
            if len(found) == before:
                raise _unreadable("a page repeats an earlier one", preset.url)
            if number == MAX_PAGES:
                raise _unreadable(f"more than {MAX_PAGES} pages", preset.url)
        return [found[key] for key in sorted(found)]

    def _where(self, area: Area) -> dict[str, Any]:
        """Return the parameters of a search in an area."""
        if not isinstance(area, TileSquare) or not self._name:
            return {"intersects": region(area.footprint)}
        names = [TILE_PROPERTIES.get(self._name, "") + name for name in area.names]
        if self._by_query:
            return {"query": {self._name: {"in": names}}}
        condition = {"op": "in", "args": [{"property": self._name}, names]}
        return {"filter": condition, "filter_lang": "cql2-json"}

    def _read(self, pages: Callable[[], Iterator[dict[str, Any]]]) -> Iterator[dict[str, Any]]:
        """Read what pystac-client yields; its errors become those of caco-data."""
        try:
            yield from pages()
        except CacoDataError:
            raise
        except _CLIENT_ERRORS as error:
            why = f"{type(error).__name__}: {error}"[:200]
            raise _unreadable(why, self.preset.url) from error

    def _send(
        self, url: str, method: str, headers: dict[str, str], parameters: dict[str, Any]
    ) -> str:
        """Send a request of pystac-client; return the text of the response."""
        body = None
        headers = {"Accept": "application/json, application/geo+json", **headers}
        if method.upper() == "POST":
            body = json.dumps(parameters).encode()
            headers["Content-Type"] = "application/json"
        elif parameters:
            url += ("&" if "?" in url else "?") + urlencode(parameters)
        # The rate of searches is limited over all workers, as that of all requests.
        share = self._limiter.share
        self._pace.share = replace(
            share, in_flight=2**31, per_second=self.preset.searches_per_second
        )
        with self._pace.request():
            pass
        response = self._web.send(method, url, body, headers)
        if response.status != 200:
            raise api_failure(response, self.preset.url)
        if method.upper() == "POST" and b'"features"' not in response.content:
            raise TransientError("corrupt body", self.preset.url)
        try:
            text = response.content.decode()
            json.loads(text)
        except ValueError:
            if text_is_page(response.content):
                raise TransientError(
                    "web page instead of data", self.preset.url, "Check --stac-url",
                    intercepted=True,
                ) from None  # fmt: skip
            raise TransientError("corrupt body", self.preset.url, "Check --stac-url") from None
        return text


def text_is_page(content: bytes) -> bool:
    """Return whether a body is HTML."""
    return content[:99].lstrip()[:1] == b"<"


def _unreadable(why: str, where: str) -> TransientError:
    return TransientError(f"Cannot read the listing: {why}", where, uncertain=True)
