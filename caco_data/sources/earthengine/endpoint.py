"""Address of Earth Engine and the collection that is read."""

from __future__ import annotations

from urllib.parse import urlsplit

from caco_data.errors import InputError

COLLECTION = "COPERNICUS/S2_SR_HARMONIZED"
#: Endpoint for many small requests (Earth Engine guide, "Processing environments").
HIGH_VOLUME = "https://earthengine-highvolume.googleapis.com"


def is_google(url: str) -> bool:
    """Return whether an address is Google's; the user's credentials are sent to no other."""
    parts = urlsplit(url)
    return parts.scheme == "https" and (parts.hostname or "").endswith(".googleapis.com")


def check_address(url: str) -> None:
    """Check that an address is `http://HOST` or `https://HOST`, with or without a port.

    Raises
    ------
    InputError
        For any other address.
    """
    try:
        parts = urlsplit(url)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if not valid:
        shown = url.rpartition("@")[2]  # without user and password
        raise InputError("Not a valid address", shown, "Pass --ee-url as https://HOST")
