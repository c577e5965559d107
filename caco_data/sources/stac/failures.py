"""Responses of STAC APIs and file servers that are not the expected ones, as errors."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping

from caco_data.errors import PermanentError, SourceError, TransientError
from caco_data.sources.http_client import HttpResponse

#: Maximum wait that a service can request, seconds.
_MAX_RETRY_AFTER_S = 3600.0
_THROTTLED = re.compile(
    r"slow ?down|throttl|rate.?(limit|exceed)|request.?limit|too many requests|server ?busy|"
    r"quota|bandwidth",
    re.IGNORECASE,
)


def api_failure(response: HttpResponse, where: str) -> SourceError:
    """Return the exception for a response of a STAC API that is not 200.

    Earth Search answers 403 as well as 429 to too many requests.
    """
    status, text = response.status, message_of(response)
    if status in (403, 429, 503) or _THROTTLED.search(text):
        return _transient(response, text, where, throttled=True)
    if status >= 500 or status in (408, 425):
        return _transient(response, text, where)
    if status in (404, 410, 400, 401, 405, 422):
        return PermanentError(f"The STAC API refuses a request: {text}", where, "Check --stac-url")
    return TransientError(f"The STAC API: {text}", where, uncertain=True)


def file_failure(response: HttpResponse, where: str) -> SourceError:
    """Return the exception for a response to a request for a part of a file that is not 206."""
    status, text = response.status, message_of(response)
    if status in (429, 503) or _THROTTLED.search(text):
        return _transient(response, text, where, throttled=True)
    if status >= 500 or status in (408, 425):
        return _transient(response, text, where)
    if status in (404, 410):
        return PermanentError("The file does not exist", where)
    if status == 200:
        # A proxy may have removed the header; a server that always ignores it cannot be used.
        return TransientError(
            "range ignored", where, "Use a server that sends parts of files", uncertain=True
        )
    if status == 416:
        return TransientError("file shorter than stated", where, uncertain=True)
    return TransientError(f"file refused: {text}", where, uncertain=True)


def message_of(response: HttpResponse) -> str:
    """Return the message of an error response: JSON of a STAC API, or XML of S3 and Azure."""
    text = response.content[:5000].decode(errors="replace")
    try:
        error = json.loads(text)
        text = str(error.get("description") or error.get("detail") or error.get("message") or "")
    except (ValueError, AttributeError, RecursionError):
        found = re.findall(r"<(?:Code|Message)>([^<]*)", text)
        text = ": ".join(found) if found else ("" if text.lstrip().startswith("<") else text)
    line = " ".join(text.split())[:300]
    return f"HTTP {response.status}{f', {line}' if line else ''}"


def _transient(
    response: HttpResponse, text: str, where: str, throttled: bool = False
) -> TransientError:
    return TransientError(
        str(response.status),
        f"{where}: {text}",
        retry_after_s=_retry_after_s(response.fields),
        throttled=throttled,
    )


def _retry_after_s(fields: Mapping[str, str]) -> float | None:
    """Return the seconds of Retry-After; None when it is absent or a date."""
    try:
        seconds = float(fields.get("retry-after", "nan"))
    except ValueError:
        return None
    return min(max(0.0, seconds), _MAX_RETRY_AFTER_S) if math.isfinite(seconds) else None
