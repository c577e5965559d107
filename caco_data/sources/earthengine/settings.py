"""Settings of the connection to Earth Engine."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from caco_data.settings_fields import setting
from caco_data.sources.earthengine.endpoint import COLLECTION, HIGH_VOLUME, is_google
from caco_data.sources.limiter import Limiter

if TYPE_CHECKING:
    from caco_data.sources.earthengine.credentials import FoundCredentials
    from caco_data.sources.earthengine.source import EarthEngineSource


@dataclass(frozen=True)
class EarthEngineSettings:
    """Connection to Earth Engine. Contains no secret, because it is sent to the workers."""

    project: str | None = setting(
        None,
        "Google Cloud project whose Earth Engine quota is used.",
        metavar="ID",
        shown_default="that of the credentials",
        envvar="EARTHENGINE_PROJECT",
    )
    url: str = setting(
        HIGH_VOLUME,
        "Earth Engine endpoint; credentials found on this machine are sent to Google only.",
        option="ee-url",
        metavar="URL",
    )
    key_file: str | None = setting(
        None,
        "Service-account key, a JSON file that every worker can read.",
        option="service-account",
        metavar="KEY.json",
        shown_default="credentials of 'earthengine authenticate', or Google's application default",
    )
    deadline_s: float = setting(
        60.0,
        "Timeout per request, seconds.",
        option="deadline",
        minimum=0.1,
        maximum=3600,
    )
    name: str = "earthengine"
    collection: str = COLLECTION

    def __post_init__(self) -> None:
        """Make the path of the key absolute: workers have other working directories."""
        if self.key_file is not None:
            object.__setattr__(self, "key_file", os.path.abspath(self.key_file))

    @property
    def computes(self) -> bool:
        """See `SourceSettings`."""
        return False

    def record(self) -> dict[str, Any]:
        """Return the endpoint if it is not Google's: a test server returns other pixels."""
        return {} if is_google(self.url) else {"endpoint": urlsplit(self.url).hostname}

    def find_credentials(self) -> FoundCredentials:
        """Find credentials and check them with a request for a token.

        Raises
        ------
        InputError
            When there are none, or their file cannot be read.
        RefusedError
            When they are expired or revoked.
        TransientError
            When the token endpoint cannot be reached at the moment.
        """
        from caco_data.sources.earthengine.authorisation import Authorisation
        from caco_data.sources.earthengine.credentials import find_credentials

        found = find_credentials(self.url, self.key_file)
        if found.credentials:
            Authorisation(found, self.deadline_s).token()
        return found

    def open(self, limiter: Limiter | None = None) -> EarthEngineSource:
        """Initialise the client of this process.

        Raises
        ------
        InputError
            When there are no credentials or no project.
        RefusedError
            When the credentials are expired or have no access to the project.
        TransientError
            When the service cannot be reached at the moment.
        """
        from caco_data.sources.earthengine.source import EarthEngineSource

        return EarthEngineSource(
            self.url, self.project, self.key_file, self.deadline_s, limiter or Limiter()
        )
