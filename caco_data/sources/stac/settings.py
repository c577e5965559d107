"""Settings of the connection to a STAC API."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from caco_data.settings_fields import setting
from caco_data.sources.limiter import Limiter
from caco_data.sources.stac.presets import PRESETS, Preset, find_preset

if TYPE_CHECKING:
    from caco_data.sources.stac.source import StacSource


@dataclass(frozen=True)
class StacSettings:
    """Connection to a STAC API. Contains no secret, because it is sent to the workers."""

    stac_url: str = setting(
        "earth-search",
        f"STAC API: {', '.join(PRESETS)}, or the address of another one.",
        metavar="NAME|URL",
    )
    collections: str | None = setting(
        None,
        "Collections with Sentinel-2 L2A, separated by commas, the preferred one first.",
        option="collection",
        metavar="NAMES",
        shown_default="those of the service",
    )
    catalog: str | None = setting(
        None,
        "stac-geoparquet file with the items, instead of searches of the API: the same file gives "
        "the same scenes.",
        metavar="FILE",
    )
    deadline_s: float = setting(
        60.0,
        "Timeout per request, seconds.",
        option="deadline",
        minimum=0.1,
        maximum=3600,
    )
    shared_folder: str | None = None
    """Folder for blocks of files that the workers share, in a folder that may not exist yet."""
    name: str = "stac"

    @property
    def preset(self) -> Preset:
        """The service.

        Raises
        ------
        InputError
            When the address cannot be used.
        """
        return find_preset(self.stac_url, self.collections)

    @property
    def collection(self) -> str:
        """See `SourceSettings`."""
        return ",".join(self.preset.collections)

    @property
    def computes(self) -> bool:
        """See `SourceSettings`."""
        return False

    def record(self) -> dict[str, Any]:
        """Return the address of the API, without a port, and the digest of the catalogue.

        Raises
        ------
        InputError
            When the catalogue cannot be read.
        """
        recorded: dict[str, Any] = {"endpoint": urlsplit(self.preset.url).hostname}
        if self.catalog:
            from caco_data.sources.stac.catalogue_file import file_digest

            recorded["catalog_sha256"] = file_digest(self.catalog)
        return recorded

    def sharing(self, folder: str) -> StacSettings:
        """See `SharingSettings`."""
        return replace(self, shared_folder=folder)

    def open(self, limiter: Limiter | None = None) -> StacSource:
        """Open the API in this process.

        Raises
        ------
        InputError
            When the address is not that of a STAC API, or the catalogue cannot be read.
        TransientError, RefusedError
            When the service cannot be reached, or refuses the user.
        """
        from caco_data.sources.stac.source import StacSource

        folder = Path(self.shared_folder) if self.shared_folder else None
        return StacSource(self.preset, self.deadline_s, limiter or Limiter(), self.catalog, folder)
