"""Listings of scenes: the query, its pages, and entries as scenes."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from caco_data.errors import TransientError
from caco_data.sources.earthengine.endpoint import COLLECTION
from caco_data.sources.geojson import read_footprint, region
from caco_data.types import Footprint, Scene

#: Fields requested in a listing; the grids of all bands would take most of its bytes.
FIELDS = "nextPageToken,assets(id,startTime,geometry,properties,bands/grid/crsCode)"
#: Maximum that the service returns per page (v1 reference, `projects.assets.listAssets`).
PAGE_SIZE = 1000
#: A patch has about 150 scenes per year.
MAX_PAGES = 20


def listing_query(
    patch: Footprint, start: datetime, end: datetime, max_cloud_pct: float
) -> dict[str, Any]:
    """Return the parameters of `ee.data.listImages`, without the page."""
    return {
        "parent": COLLECTION,
        "startTime": f"{start:%Y-%m-%dT%H:%M:%S.%fZ}",
        "endTime": f"{end:%Y-%m-%dT%H:%M:%S.%fZ}",
        "region": region(patch),
        "fields": FIELDS,
        "filter": f"properties.CLOUDY_PIXEL_PERCENTAGE <= {max_cloud_pct!r}",
        "pageSize": PAGE_SIZE,
    }


def read_listing(read_page: Callable[[str], dict[str, Any]]) -> list[Scene]:
    """Read all pages of a listing.

    Parameters
    ----------
    read_page : callable
        Returns the page of a token (`""` for the first one): `{"images": [...]}` and, unless it is
        the last one, `"nextPageToken"`.

    Returns
    -------
    list of Scene
        Entries without the required fields are skipped.

    Raises
    ------
    TransientError
        When pages repeat or are too many, or no entry has the required fields; the listing must
        not be mistaken for one without scenes.
    """
    entries: list[Any] = []
    tokens = [""]
    while True:
        page = read_page(tokens[-1])
        entries += page["images"]
        token = page.get("nextPageToken")
        if not token:
            break
        if token in tokens:
            raise _unreadable("a page refers to an earlier one")
        if len(tokens) == MAX_PAGES:
            raise _unreadable(f"more than {MAX_PAGES} pages")
        tokens.append(token)
    scenes = [scene for entry in entries if (scene := parse_scene(entry))]
    if entries and not scenes:
        raise _unreadable(f"none of {len(entries)} entries has the expected fields")
    return scenes


def _unreadable(why: str) -> TransientError:
    return TransientError(f"Cannot read the listing: {why}", COLLECTION, uncertain=True)


def parse_scene(image: Any) -> Scene | None:
    """Read a scene from its listing entry; None when a required field is missing or invalid."""
    try:
        properties = image["properties"]
        acquired = datetime.fromisoformat(image["startTime"])
        cloud_pct = float(properties["CLOUDY_PIXEL_PERCENTAGE"])
        if not math.isfinite(cloud_pct):
            return None
        return Scene(
            image_id=image["id"].rsplit("/", 1)[-1],
            # A time without a zone is UTC, as all times of the service.
            acquired=acquired.astimezone(UTC) if acquired.tzinfo else acquired.replace(tzinfo=UTC),
            cloud_pct=cloud_pct,
            epsg=int(image["bands"][0]["grid"]["crsCode"].removeprefix("EPSG:")),
            footprint=read_footprint(image["geometry"]),
            baseline=str(properties.get("PROCESSING_BASELINE", "")),
        )
    except (LookupError, ValueError, TypeError, AttributeError, OverflowError):
        return None
