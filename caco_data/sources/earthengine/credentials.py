"""Credentials for Earth Engine, and the Cloud project to which its quota is charged.

Messages contain only the kind of the credentials and the path of their file.
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
    "Run 'earthengine authenticate', or use --service-account KEY.json; "
    "'--source simulated' needs no account"
)
EXPIRED = "Run 'earthengine authenticate --force', or see 'caco-data doctor'"
#: The client requires a project name also without credentials; a test server accepts any.
TEST_SERVER_PROJECT = "stand-in"


@dataclass(frozen=True, slots=True)
class FoundCredentials:
    """Credentials with their kind and origin."""

    kind: str
    """`service-account key`, `application default`, `earthengine authenticate` or `none`."""
    where: str
    """Path of their file; empty when there is none."""
    credentials: Any = field(repr=False)
    """Credentials object of google-auth."""


def find_credentials(url: str, key_file: str | None) -> FoundCredentials:
    """Find credentials for an address.

    In this order: the key file; none, if the address is not Google's; the file that
    GOOGLE_APPLICATION_CREDENTIALS names; those of `earthengine authenticate`; the application
    default credentials.

    Raises
    ------
    InputError
        When there are none, or their file cannot be read.
    RefusedError
        When they are expired or revoked.
    TransientError
        When Google's servers cannot be reached to check them.
    """
    scopes = ee.oauth.SCOPES
    if key_file is not None:
        return FoundCredentials("service-account key", key_file, _from_key(key_file, scopes))
    if not is_google(url):
        return FoundCredentials("none", "", AnonymousCredentials())
    named = os.environ.get("GOOGLE_APPLICATION_CREDENTIALS")
    # The original error messages are not repeated: they may quote the file's content.
    if named:
        try:
            found, _ = google.auth.default(scopes=scopes)
        except (GoogleAuthError, ValueError, OSError):
            raise InputError(
                "Cannot read the credentials", named, "Fix or unset GOOGLE_APPLICATION_CREDENTIALS"
            ) from None
        return FoundCredentials("application default", named, found)
    path = ee.oauth.get_credentials_path()
    has_client_file = os.path.exists(path)
    try:
        found = ee.data.get_persistent_credentials()
    except AuthTransportError:
        raise TransientError("connection", "asking Google for a token") from None
    except (ee.EEException, GoogleAuthError, ValueError, OSError):
        if has_client_file:
            raise RefusedError(
                "The Earth Engine credentials are expired, revoked or damaged", path, EXPIRED
            ) from None
        raise InputError("No Earth Engine credentials", "", REMEDY) from None
    if has_client_file:
        return FoundCredentials("earthengine authenticate", path, found)
    return FoundCredentials("application default", "", found)


def _from_key(key_file: str, scopes: list[str]) -> Any:
    if not Path(key_file).is_file():
        raise InputError(
            "The service-account key does not exist", key_file, "Check --service-account"
        )
    try:
        return service_account.Credentials.from_service_account_file(key_file, scopes=scopes)
    except (GoogleAuthError, ValueError, OSError):
        raise InputError(
            "Cannot read the service-account key",
            key_file,
            "Download one as JSON from the Cloud console, 'IAM > Service accounts > Keys'",
        ) from None


def find_project(project: str | None, found: FoundCredentials) -> str:
    """Find the Cloud project to which the quota is charged.

    Raises
    ------
    InputError
        When neither the user nor the credentials specify one.
    """
    if project:
        return project
    if found.kind == "none":
        return TEST_SERVER_PROJECT
    credentials = found.credentials
    own = getattr(credentials, "quota_project_id", None) or getattr(credentials, "project_id", None)
    if not own:
        raise InputError(
            "No Cloud project for Earth Engine",
            "",
            "Use --project, set EARTHENGINE_PROJECT, or run 'earthengine set_project'; see "
            "https://developers.google.com/earth-engine/guides/access",
        )
    return str(own)
