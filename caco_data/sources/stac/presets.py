"""Services that are known by name: address, collections, limits."""

from __future__ import annotations

from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from caco_data.errors import InputError

#: Collections of Earth Search: the first one is reprocessed, but not complete in 2019 to 2021.
EARTH_SEARCH_COLLECTIONS = ("sentinel-2-c1-l2a", "sentinel-2-l2a")


@dataclass(frozen=True, slots=True)
class Preset:
    """A STAC API and what is particular to it."""

    name: str
    url: str
    """Address of the landing page."""
    collections: tuple[str, ...]
    """Collections with Sentinel-2 L2A, the preferred one first."""
    tile_property: str = ""
    """Property by which the API finds the items of an MGRS tile; that of its items if empty."""
    searches_per_second: float | None = None
    """Maximum number of searches per second; None for no maximum."""
    token_url: str = ""
    """Address that issues tokens for the files of a storage container; `{account}` and
    `{container}` are replaced. Files are public if empty."""
    jpeg2000: bool = False
    """Whether the files are JPEG 2000 in the S3 store of the Copernicus Data Space."""


PRESETS = {
    preset.name: preset
    for preset in (
        Preset(
            "earth-search",
            "https://earth-search.aws.element84.com/v1",
            EARTH_SEARCH_COLLECTIONS,
            "grid:code",
            searches_per_second=20.0,
        ),
        Preset(
            "planetary-computer",
            "https://planetarycomputer.microsoft.com/api/stac/v1",
            ("sentinel-2-l2a",),
            "s2:mgrs_tile",
            searches_per_second=20.0,
            token_url="https://planetarycomputer.microsoft.com/api/sas/v1/token/{account}/{container}",
        ),
        Preset(
            "cdse",
            "https://stac.dataspace.copernicus.eu/v1",
            ("sentinel-2-l2a",),
            "grid:code",
            searches_per_second=5.0,
            jpeg2000=True,
        ),
    )
}


def find_preset(url: str, collection: str | None) -> Preset:
    """Return the preset of a name or address, with the collections of the user if there are any.

    Parameters
    ----------
    url : str
        Name of a preset, or address of an API.
    collection : str, optional
        Collections, separated by commas.

    Raises
    ------
    InputError
        When `url` is neither.
    """
    address = url.rstrip("/")
    known = next((p for p in PRESETS.values() if address in (p.name, p.url)), None)
    parts = urlsplit(url)
    if known is None and (parts.scheme not in ("http", "https") or not parts.hostname):
        names = ", ".join(PRESETS)
        raise InputError(
            "Neither a service nor an address", f"--stac-url {url}", f"Use {names} or https://HOST"
        )
    preset = known or Preset(parts.hostname or "", url.rstrip("/"), EARTH_SEARCH_COLLECTIONS)
    if collection is None:
        return preset
    names_given = tuple(name.strip() for name in collection.split(",") if name.strip())
    if not names_given:
        raise InputError("No collection", f"--collection {collection}", "Name one or more")
    return replace(preset, collections=names_given)
