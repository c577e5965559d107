"""Where Earth Engine is, and which of its collections is read."""

from __future__ import annotations

from urllib.parse import urlsplit

COLLECTION = "COPERNICUS/S2_SR_HARMONIZED"
#: For many small requests (Earth Engine guide, "Processing environments").
HIGH_VOLUME = "https://earthengine-highvolume.googleapis.com"


def is_google(url: str) -> bool:
    """Whether an address is Google's own; found credentials are sent to no other."""
    parts = urlsplit(url)
    return parts.scheme == "https" and (parts.hostname or "").endswith(".googleapis.com")
