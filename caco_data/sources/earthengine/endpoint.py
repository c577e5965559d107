"""Address of Earth Engine and the collection that is read."""

from __future__ import annotations

from urllib.parse import urlsplit

COLLECTION = "COPERNICUS/S2_SR_HARMONIZED"
#: Endpoint for many small requests (Earth Engine guide, "Processing environments").
HIGH_VOLUME = "https://earthengine-highvolume.googleapis.com"


def is_google(url: str) -> bool:
    """Return whether an address is Google's; the user's credentials are sent to no other."""
    parts = urlsplit(url)
    return parts.scheme == "https" and (parts.hostname or "").endswith(".googleapis.com")
