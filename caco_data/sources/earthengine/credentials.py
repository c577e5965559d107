"""Credentials for Earth Engine as users have them, and the Cloud project whose quota is used.

Only the kind of the credentials and the path of their file are ever shown.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ee
import google.auth
from google.auth.credentials import AnonymousCredentials
from google.auth.exceptions import GoogleAuthError
from google.auth.exceptions import TransportError as AuthTransportError
from google.oauth2 import service_account

from caco_data.errors import InputError, RefusedError, TransientError
from caco_data.sources.earthengine.endpoint import is_google

REMEDY = (
    "Run 'earthengine authenticate', or give --service-account KEY.json; "
    "'--source simulated' needs no account"
)
EXPIRED = "Run 'earthengine authenticate --force', or see 'caco-data doctor'"
#: Without credentials the client still wants a project's name; a stand-in takes any.
STAND_IN_PROJECT = "stand-in"


@dataclass(frozen=True, slots=True)
class FoundCredentials:
    """Credentials, and where they come from."""

    kind: str
    """`service-account key`, `application default`, `earthengine authenticate` or `none`."""
    where: str
    """Their file, where there is one."""
    credentials: Any = field(repr=False)
    """google-auth's object."""


def find_credentials(url: str, key_file: str | None) -> FoundCredentials:
    """Find credentials for an address.

    In this order: the key file; none, where the address is not Google's; what
    GOOGLE_APPLICATION_CREDENTIALS names; those of `earthengine authenticate`; the application
    default ones.

    Raises
    ------
    InputError
        When there are none, or the file is not one.
    RefusedError
        When they are expired or revoked.
    TransientError
        When Google's servers cannot be reached to try them.
    """
    scopes = ee.oauth.SCOPES
    if key_file is not None:
        return FoundCredentials("service-account key", key_file, _from_key(key_file, scopes))
    if not is_google(url):
        return FoundCredentials("none", "", AnonymousCredentials())
    named = os.environ.get("GOOGLE_APPLICATION_CREDENTIALS")
    # What goes wrong is never told in the error's own words: they may quote what the file holds.
    if named:
        try:
            found, _ = google.auth.default(scopes=scopes)
        except (GoogleAuthError, ValueError, OSError):
            raise InputError(
                "Not readable credentials", named, "Mend or unset GOOGLE_APPLICATION_CREDENTIALS"
            ) from None
        return FoundCredentials("application default", named, found)
    path = ee.oauth.get_credentials_path()
    of_client = os.path.exists(path)
    try:
        found = ee.data.get_persistent_credentials()
    except AuthTransportError:
        raise TransientError("connection", "asking Google for a token") from None
    except (ee.EEException, GoogleAuthError, ValueError, OSError):
        if of_client:
            raise RefusedError(
                "The Earth Engine credentials are expired, revoked or broken", path, EXPIRED
            ) from None
        raise InputError("No Earth Engine credentials", "", REMEDY) from None
    if of_client:
        return FoundCredentials("earthengine authenticate", path, found)
    return FoundCredentials("application default", "", found)


def _from_key(key_file: str, scopes: list[str]) -> Any:
    if not Path(key_file).is_file():
        raise InputError("No such service-account key", key_file, "Check --service-account")
    try:
        return service_account.Credentials.from_service_account_file(key_file, scopes=scopes)
    except (GoogleAuthError, ValueError, OSError):
        raise InputError(
            "Not a readable service-account key",
            key_file,
            "Download one as JSON from the Cloud console, 'IAM > Service accounts > Keys'",
        ) from None


def find_project(project: str | None, found: FoundCredentials) -> str:
    """Find the Cloud project whose quota is used.

    Raises
    ------
    InputError
        When neither the user nor the credentials name one.
    """
    if project:
        return project
    if found.kind == "none":
        return STAND_IN_PROJECT
    credentials = found.credentials
    own = getattr(credentials, "quota_project_id", None) or getattr(credentials, "project_id", None)
    if not own:
        raise InputError(
            "No Cloud project for Earth Engine",
            "",
            "Give --project, set EARTHENGINE_PROJECT, or run 'earthengine set_project'; see "
            "https://developers.google.com/earth-engine/guides/access",
        )
    return str(own)
