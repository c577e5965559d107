"""Credentials for Earth Engine, and the Cloud project to which its quota is charged.

Messages contain only the kind of the credentials and the path of their file.
"""

from __future__ import annotations

import logging
import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit

import ee
import google.auth
import urllib3
from google.auth import _cloud_sdk, compute_engine
from google.auth.credentials import with_scopes_if_required
from google.oauth2 import service_account
from google.oauth2.credentials import Credentials as UserCredentials

from caco_data.errors import CacoDataError, InputError
from caco_data.sources.earthengine.endpoint import is_google
from caco_data.sources.proxy import LOOPBACK

REMEDY = (
    "Run 'earthengine authenticate', or use --service-account KEY.json; "
    "'--source simulated' needs no account"
)
EXPIRED = "Run 'earthengine authenticate --force', or see 'caco-data doctor'"
GCLOUD_LOGIN = (
    "Run 'gcloud auth application-default login --scopes="
    "https://www.googleapis.com/auth/earthengine,https://www.googleapis.com/auth/cloud-platform'"
)
_NEW_KEY = "Download a key as JSON from the Cloud console, 'IAM > Service accounts > Keys'"
_NAMED = "Fix or unset GOOGLE_APPLICATION_CREDENTIALS"
#: The client requires a project name also without credentials; a test server accepts any.
TEST_SERVER_PROJECT = "stand-in"
#: Project of the client id in the official client, which users have no access to.
_CLIENT_PROJECT = ee.oauth.CLIENT_ID.split("-")[0]
#: Variables from which Google's tools read the project, in this order.
_PROJECT_VARIABLES = ("GOOGLE_CLOUD_PROJECT", "GCLOUD_PROJECT", "CLOUDSDK_CORE_PROJECT")
_METADATA_IP = "169.254.169.254"
#: Timeout of the request that detects a metadata server: on a machine of Compute Engine, seconds.
_METADATA_S = 3.0
#: Timeout of that request on all other machines; most of them have no metadata server.
_NO_METADATA_S = 0.5
_PRODUCT_NAME = Path("/sys/class/dmi/id/product_name")


@dataclass(frozen=True, slots=True)
class Project:
    """A Cloud project and the setting that names it."""

    id: str
    """Id or number of the project."""
    origin: str
    """Option, environment variable, command or file."""


@dataclass(frozen=True, slots=True)
class FoundCredentials:
    """Credentials with their kind and origin; cannot be sent to another process."""

    kind: str
    """`service-account key`, `application default`, `earthengine authenticate`, `metadata server`
    or `none`."""
    where: str
    """Path of their file, or address of the metadata server; empty when there is none."""
    credentials: Any = field(default=None, repr=False)
    """Credentials object of google-auth; None for the kind `none`."""
    remedy: str = field(default="", repr=False)
    """What to do when the token endpoint refuses them."""
    project: str | None = None
    """Project of the credentials themselves."""

    def __reduce__(self) -> NoReturn:
        raise TypeError("credentials are not sent to other processes")


def is_encrypted(url: str) -> bool:
    """Return whether requests to an address are encrypted or stay on this machine."""
    parts = urlsplit(url)
    return parts.scheme == "https" or parts.hostname in LOOPBACK


@contextmanager
def quiet() -> Iterator[None]:
    """Suppress warnings of Google's libraries and log lines that they emit in this thread."""
    thread = threading.get_ident()

    def of_another_thread(record: logging.LogRecord) -> bool:
        return record.thread != thread

    names = [name for name in list(logging.root.manager.loggerDict) if name.startswith("google.")]
    for name in names:
        logging.getLogger(name).addFilter(of_another_thread)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"google\.")
            yield
    finally:
        for name in names:
            logging.getLogger(name).removeFilter(of_another_thread)


def find_credentials(url: str, key_file: str | None) -> FoundCredentials:
    """Find credentials for an address; requests no token.

    In this order: the key file; none, if the address is not Google's; the file that
    GOOGLE_APPLICATION_CREDENTIALS names; those of `earthengine authenticate`; gcloud's application
    default credentials; the service account of a Google Cloud machine.

    Raises
    ------
    InputError
        When there are none, when their file cannot be read, or when a token for the key file would
        be sent unencrypted.
    """
    try:
        return _find(url, key_file)
    except CacoDataError as error:
        error.without_cause()
        raise


def _find(url: str, key_file: str | None) -> FoundCredentials:
    if key_file is not None:
        if not is_encrypted(url):
            raise InputError(
                "The token of the service account would be sent unencrypted",
                url,
                "Pass --ee-url as https://HOST, or omit --service-account",
            )
        return _from_key(key_file)
    if not is_google(url):
        return FoundCredentials("none", "")
    if named := os.environ.get("GOOGLE_APPLICATION_CREDENTIALS"):
        return _from_file(named, "The credentials file", _NAMED)
    found = _from_earthengine() or _from_gcloud() or _from_metadata_server()
    if found:
        return found
    if _earthengine_file() is None:
        raise InputError("No Earth Engine credentials", "", REMEDY)
    raise InputError(
        "The Earth Engine file names a project but contains no credentials",
        ee.oauth.get_credentials_path(),
        REMEDY,
    )


def _from_key(key_file: str) -> FoundCredentials:
    if not os.path.isfile(key_file):
        raise InputError(
            "The service-account key does not exist", key_file, "Check --service-account"
        )
    try:
        with quiet():
            found = service_account.Credentials.from_service_account_file(
                key_file, scopes=ee.oauth.SCOPES
            )
    # Any exception means a damaged file. Its message is not repeated, here and below: it may quote
    # the file's content.
    except Exception:
        raise InputError("Cannot read the service-account key", key_file, _NEW_KEY) from None
    return FoundCredentials("service-account key", key_file, found, _NEW_KEY, found.project_id)


def _from_file(path: str, name: str, remedy: str) -> FoundCredentials:
    """Read application default credentials of any type from a file."""
    if not os.path.exists(path):
        raise InputError(f"{name} does not exist", path, remedy)
    try:
        with quiet():
            # Scopes are set afterwards: a user's credentials do not accept others.
            loaded, own_project = google.auth.load_credentials_from_file(path)
            found = with_scopes_if_required(loaded, ee.oauth.SCOPES)
    except Exception:
        raise InputError(f"{name} is damaged", path, remedy) from None
    return FoundCredentials(
        "application default", path, found, remedy, found.quota_project_id or own_project
    )


def _earthengine_file() -> dict[str, Any] | None:
    """Read the file of `earthengine authenticate` and `earthengine set_project`, if it exists."""
    try:
        arguments: dict[str, Any] = ee.oauth.get_credentials_arguments()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except Exception:
        raise InputError(
            "The Earth Engine credentials file is damaged",
            ee.oauth.get_credentials_path(),
            "Run 'earthengine authenticate --force'",
        ) from None
    return arguments


def _from_earthengine() -> FoundCredentials | None:
    arguments = _earthengine_file()
    if not arguments or not arguments["refresh_token"]:
        return None
    path = ee.oauth.get_credentials_path()
    found = UserCredentials(None, **arguments)
    remedy = "Run 'earthengine authenticate --force'"
    return FoundCredentials("earthengine authenticate", path, found, remedy, found.quota_project_id)


def _from_gcloud() -> FoundCredentials | None:
    path: str = _cloud_sdk.get_application_default_credentials_path()
    if not os.path.isfile(path):
        return None
    return _from_file(path, "The file of gcloud's application default credentials", GCLOUD_LOGIN)


def _from_metadata_server() -> FoundCredentials | None:
    """Ask the metadata server, if there is one, for this machine's project."""
    if os.environ.get("NO_GCE_CHECK") == "true":
        return None
    variables = os.environ.get("GCE_METADATA_IP"), os.environ.get("GCE_METADATA_HOST")
    host = next(filter(None, variables), _METADATA_IP)
    try:
        on_google = _PRODUCT_NAME.read_text().startswith("Google")
    except OSError:
        on_google = False
    try:
        answer = urllib3.PoolManager().request(
            "GET",
            f"http://{host}/computeMetadata/v1/project/project-id",
            headers={"Metadata-Flavor": "Google"},
            timeout=urllib3.Timeout(total=_METADATA_S if on_google else _NO_METADATA_S),
            retries=False,
        )
    except (urllib3.exceptions.HTTPError, ValueError):
        return None
    if answer.headers.get("Metadata-Flavor") != "Google":
        return None
    return FoundCredentials(
        "metadata server",
        host,
        compute_engine.Credentials(),
        "Attach a service account to this machine, or use --service-account KEY.json",
        answer.data.decode(errors="replace").strip() if answer.status == 200 else None,
    )


def find_project(project: str | None, found: FoundCredentials) -> Project:
    """Find the Cloud project to which the quota is charged.

    In this order: `project`; EARTHENGINE_PROJECT; the project of the file of `earthengine
    authenticate`, if its credentials are used or if it contains only a project; that of the
    credentials; gcloud's quota project; GOOGLE_CLOUD_PROJECT, GCLOUD_PROJECT,
    CLOUDSDK_CORE_PROJECT.

    Raises
    ------
    InputError
        When neither the user nor the credentials specify one.
    """
    variable = os.environ.get("EARTHENGINE_PROJECT")
    if project:
        return Project(project, "EARTHENGINE_PROJECT" if project == variable else "--project")
    if variable:
        return Project(variable, "EARTHENGINE_PROJECT")
    if found.kind == "none":
        return Project(TEST_SERVER_PROJECT, "not checked by a test server")
    for named, origin in _projects(found):
        if named:
            return Project(str(named), origin)
    raise InputError(
        "No Cloud project for Earth Engine",
        "",
        "Use --project, set EARTHENGINE_PROJECT, or run 'earthengine set_project'; see "
        "https://developers.google.com/earth-engine/guides/access",
    )


def _projects(found: FoundCredentials) -> Iterator[tuple[Any, str]]:
    """Yield possible projects, also empty ones, with their origins."""
    try:
        file = _earthengine_file() or {}
    except InputError:  # it is not needed here
        file = {}
    if found.kind == "earthengine authenticate" or not file.get("refresh_token"):
        yield file.get("quota_project_id"), ee.oauth.get_credentials_path()
    yield found.project, found.where
    with suppress(OSError, ValueError, AttributeError):  # a damaged file
        yield ee.oauth.get_appdefault_project(), "gcloud's application default credentials"
    client = ee.oauth.project_number_from_credentials(found.credentials)
    if client and client != _CLIENT_PROJECT and not ee.oauth.is_sdk_project(client):
        yield client, found.where
    for name in _PROJECT_VARIABLES:
        yield os.environ.get(name), name
