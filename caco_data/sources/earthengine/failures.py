"""Failed requests: HTTP responses and exceptions of the client, as errors of `caco_data.errors`.

A scene or a location must not be given up because of a fault of the service or the network.
Therefore only the statuses and words listed here are permanent, and a refusal in other words is
retried before it counts (`TransientError.uncertain`).
"""

from __future__ import annotations

import http.client
import json
import math
import re
from collections.abc import Callable, Container, Iterator, Mapping
from typing import Any, TypeVar

import ee
from google.auth.exceptions import GoogleAuthError
from google.auth.exceptions import TransportError as AuthTransportError
from googleapiclient.errors import Error as ApiError
from googleapiclient.errors import HttpError, UnknownApiNameOrVersion

from caco_data.errors import InputError, PermanentError, RefusedError, SourceError, TransientError
from caco_data.sources.earthengine.credentials import EXPIRED

T = TypeVar("T")

_QUOTA_REMEDY = "Run the same command again when quota is available; finished work is kept"
_ACCESS_REMEDY = "Check --project and its access to Earth Engine, or run 'caco-data doctor'"
_PROJECT_REMEDY = (
    "Pass the --project of a Cloud project registered for Earth Engine; see "
    "https://developers.google.com/earth-engine/guides/access"
)
#: Maximum wait that the service can request, seconds.
_MAX_RETRY_AFTER_S = 3600.0

_REFUSAL = range(400, 500)
_MISSING = (404, 410)
_RATE = r"concurren|too many requests|per.{0,5}(minute|second)"
_SPENT = (
    r"custom quota exceeded|quotaExceeded|(daily|monthly).{0,40}(limit|quota|usage|eecu)|"
    r"per[ _-]?(day|week|month|year)|(quota|limit|eecu).{0,80}\b(day|month|today)\b"
)
_THROTTLED = r"rate.?limit|quota.{0,40}exceed|exceed.{0,40}quota|resource.{0,10}exhausted"
_PROJECT = (
    r"no project found|"
    r"project\b.{0,80}\b(not (been )?(registered|found|used)|not exist|deleted|disabled)|"
    r"USER_PROJECT_DENIED|SERVICE_DISABLED|CONSUMER_INVALID"
)
_TEMPORARY = (
    r"time[d-]? ?out|deadline|capacity|overload|\bbusy\b|\binternal\b|backend.?error|"
    r"unavailable|temporar|try again|\bretry\b|\b(aborted|cancelled)\b"
)
_ABSENT = r"not found|not exist|no (such )?band|missing band|not match any bands|unknown band"
_TOO_LARGE = r"total request size|must be less than|too large|limited to"

#: Kinds of failures: the first one applies whose statuses and words fit the response.
_KINDS: tuple[tuple[str, Container[int], str], ...] = (
    ("transient", range(500, 600), ""),
    ("transient", (408, 425, 499), ""),
    ("credentials", (401,), ""),
    ("throttled", _REFUSAL, _RATE),
    ("spent", _REFUSAL, _SPENT),
    ("throttled", (429,), ""),
    ("throttled", _REFUSAL, _THROTTLED),
    ("project", _REFUSAL, _PROJECT),
    ("denied", (402, 403), ""),
    ("permanent", _MISSING, ""),
    ("transient", _REFUSAL, _TEMPORARY),
    ("permanent", _REFUSAL, f"{_ABSENT}|{_TOO_LARGE}"),
    ("permanent", (413, 414), ""),
)


def failure_kind(status: int, words: str) -> str:
    """Classify a refused request.

    Parameters
    ----------
    status : int
        HTTP status.
    words : str
        All texts of the response.

    Returns
    -------
    str
        `transient`, `throttled`, `spent` (the quota of a day or a month), `credentials`, `denied`,
        `project`, `permanent`, or `uncertain` for everything else.
    """
    for kind, statuses, pattern in _KINDS:
        if status in statuses and re.search(pattern, words, re.IGNORECASE | re.DOTALL):
            return kind
    return "uncertain"


def http_failure(status: int, headers: Mapping[str, Any], content: bytes) -> SourceError:
    """Return the exception for an HTTP error response."""
    message, words = _texts(status, content)
    match failure_kind(status, words):
        case "transient" | "throttled" as kind:
            wait_s = _seconds(headers.get("retry-after"))
            return TransientError(
                str(status), message, retry_after_s=wait_s, throttled=kind == "throttled"
            )
        case "spent":
            return RefusedError(f"Earth Engine's quota is used up: {message}", "", _QUOTA_REMEDY)
        case "credentials":
            return RefusedError("Earth Engine rejects the credentials", "", EXPIRED)
        case "denied":
            return RefusedError(f"Earth Engine denies access: {message}", "", _ACCESS_REMEDY)
        case "project":
            return RefusedError(f"Earth Engine: {message}", "", _PROJECT_REMEDY)
        case "permanent":
            return PermanentError(f"Earth Engine: {message}", f"HTTP {status}")
    return TransientError(f"Earth Engine: {message}", f"HTTP {status}", uncertain=True)


def foreign_response(status: int, content_type: str, content: bytes) -> str:
    """Name the response of a proxy, a login page or another server; empty for the service's own.

    The service sends pages for errors of its own servers (5xx) and for too many requests only.
    """
    if 300 <= status < 400:
        return "redirection to another server"
    if status in (407, 511):
        return "login required by a proxy"
    page = content_type.strip().lower().startswith("text/html") or content[:99].lstrip()[:1] == b"<"
    if page and status < 500 and status != 429:
        return "web page instead of data"
    return ""


def call_client(call: Callable[[], T]) -> T:
    """Call the client and convert its exceptions into those of `caco_data.errors`."""
    try:
        return call()
    except (SourceError, InputError):
        raise
    except HttpError as error:  # while the client is initialised
        raise http_failure(int(error.resp.status), error.resp, error.content) from None
    except UnknownApiNameOrVersion:
        raise PermanentError("Earth Engine is not at this address", "HTTP 404") from None
    except ee.EEException as error:
        # The client's error has only the message; the HTTP response is in `__context__`.
        cause = error.__context__
        if isinstance(cause, HttpError):
            raise http_failure(int(cause.resp.status), cause.resp, cause.content) from None
        if re.search(_PROJECT, str(error), re.IGNORECASE):
            raise InputError(f"Earth Engine: {_line(str(error))}", "", _PROJECT_REMEDY) from None
        raise TransientError("corrupt body", _line(str(error))[:100]) from None  # not JSON
    except AuthTransportError:
        raise TransientError("connection", "asking for a token") from None
    except GoogleAuthError:
        # The original message is not repeated: it may quote a token.
        raise RefusedError("Earth Engine rejects the credentials", "", EXPIRED) from None
    except (AttributeError, ValueError, LookupError, TypeError, EOFError, ApiError) as error:
        # Neither an array nor the expected JSON; some of these depend on the client's version.
        raise TransientError("corrupt body", type(error).__name__) from None
    except (ConnectionError, TimeoutError) as error:
        raise TransientError("connection", str(error)) from None


def _texts(status: int, content: bytes) -> tuple[str, str]:
    """Return the message of an error response, one line, and all its texts.

    Reasons and limits are at several places of Google's error JSON: `errors[].reason`,
    `details[].reason`, `details[].metadata.quota_limit`.
    """
    text = content.decode(errors="replace")
    try:
        error = json.loads(text)
        error = error.get("error", error)
        message = error if isinstance(error, str) else str(error["message"])
        words = " ".join(_strings(error))
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        message = words = "" if text.lstrip().startswith("<") else text
    if not message.strip():
        message = http.client.responses.get(status, "error without a message")
    return _line(message)[:500], words


def _strings(value: Any) -> Iterator[str]:
    """Yield all strings in a JSON value, except links to documentation."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, one in value.items():
            if name != "links":
                yield from _strings(one)
    elif isinstance(value, list):
        for one in value:
            yield from _strings(one)


def _line(text: str) -> str:
    return " ".join(text.split())


def _seconds(retry_after: str | None) -> float | None:
    """Return the seconds in a Retry-After header; None when it is absent or a date."""
    try:
        seconds = float(retry_after or "nan")
    except ValueError:
        return None
    return min(max(0.0, seconds), _MAX_RETRY_AFTER_S) if math.isfinite(seconds) else None
