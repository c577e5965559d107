"""How to reach Earth Engine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from caco_data.sources.earthengine.endpoint import COLLECTION, HIGH_VOLUME, is_google
from caco_data.sources.limiter import Limiter

if TYPE_CHECKING:
    from caco_data.sources.earthengine.credentials import FoundCredentials
    from caco_data.sources.earthengine.source import EarthEngineSource


@dataclass(frozen=True)
class EarthEngineSettings:
    """How to reach Earth Engine. Nothing secret: this travels to the workers."""

    project: str | None = None
    """Cloud project whose quota is used; None for that of the credentials."""
    url: str = HIGH_VOLUME
    """Endpoint."""
    key_file: str | None = None
    """Service-account key, a JSON file that every worker can read; None for the user's own."""
    deadline_s: float = 60.0
    """Longest a request may take, seconds."""
    name: str = "earthengine"
    collection: str = COLLECTION

    @property
    def computes(self) -> bool:
        """See `SourceSettings`."""
        return False

    def record(self) -> dict[str, Any]:
        """Return the endpoint if it is not Google's: a test server returns other pixels."""
        return {} if is_google(self.url) else {"endpoint": urlsplit(self.url).hostname}

    def find_credentials(self) -> FoundCredentials:
        """Find credentials; see `caco_data.sources.earthengine.credentials.find_credentials`."""
        from caco_data.sources.earthengine.credentials import find_credentials

        return find_credentials(self.url, self.key_file)

    def open(self, limiter: Limiter | None = None) -> EarthEngineSource:
        """Initialise the client of this process.

        Raises
        ------
        InputError
            Without credentials or a project.
        RefusedError
            With credentials that are expired or have no access to the project.
        TransientError
            When the service cannot be reached at the moment.
        """
        from caco_data.sources.earthengine.source import EarthEngineSource

        return EarthEngineSource(
            self.url, self.project, self.key_file, self.deadline_s, limiter or Limiter()
        )
