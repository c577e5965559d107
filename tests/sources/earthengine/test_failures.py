"""Classification of refused requests by their status and words."""

from __future__ import annotations

import json
from typing import Any

import ee
import pytest
from googleapiclient.errors import HttpError, UnknownApiNameOrVersion
from httplib2 import Response

from caco_data.errors import InputError, PermanentError, RefusedError, SourceError, TransientError
from caco_data.sources.earthengine.failures import (
    call_client,
    failure_kind,
    foreign_response,
    http_failure,
)


def body(message: str, **more: Any) -> bytes:
    return json.dumps({"error": {"message": message, **more}}).encode()


def details(reason: str, quota_limit: str) -> list[dict[str, Any]]:
    links = [{"description": "Request a higher quota limit per day."}]
    return [
        {"reason": reason, "metadata": {"quota_limit": quota_limit}},
        {"@type": "type.googleapis.com/google.rpc.Help", "links": links},
    ]


CUSTOM = (
    "Custom quota exceeded: Your usage exceeded the custom quota for "
    "'earthengine.googleapis.com/{}_eecu_usage_time'."
)


@pytest.mark.parametrize("status", [400, 403, 409, 429])
@pytest.mark.parametrize(
    ("message", "kind"),
    [
        (CUSTOM.format("daily"), "spent"),
        (CUSTOM.format("monthly"), "spent"),
        ("Daily Limit Exceeded. The quota will be reset at midnight Pacific Time.", "spent"),
        ("limit 'EECU-hours per month' of service 'earthengine.googleapis.com'", "spent"),
        ("Quota exceeded. quotaExceeded", "spent"),
        ("Quota exceeded: Too many concurrent aggregations. quotaExceeded", "throttled"),
        ("Quota exceeded for quota metric 'R' and limit 'R per minute'", "throttled"),
        ("Quota exceeded for limit 'queries per 100 seconds'", "throttled"),
        ("RATE_LIMIT_EXCEEDED", "throttled"),
        ("userRateLimitExceeded", "throttled"),
        ("Resource has been exhausted (e.g. check quota).", "throttled"),
    ],
)
def test_quotas_do_not_depend_on_the_status(status: int, message: str, kind: str) -> None:
    assert failure_kind(status, message) == kind


@pytest.mark.parametrize(
    ("status", "words", "kind"),
    [
        (500, "", "transient"),
        (503, "Quota exceeded per day", "transient"),
        (408, "", "transient"),
        (429, "", "throttled"),
        (401, "", "credentials"),
        (400, "Project 'x' not found or deleted.", "project"),
        (403, "Project 'x' is not registered to use Earth Engine.", "project"),
        (403, "Caller does not have required permission to use project x.", "denied"),
        (403, "The image was not found; try again", "denied"),
        (402, "Billing is disabled", "denied"),
        (404, "Image asset 'projects/p/assets/x' not found.", "permanent"),
        (410, "Temporarily gone", "permanent"),
        (413, "", "permanent"),
        (400, "Computation timed out.", "transient"),
        (400, "Earth Engine capacity exceeded.", "transient"),
        (400, "Earth Engine memory capacity exceeded.", "transient"),
        (400, "An internal error has occurred (worker not found)", "transient"),
        (400, "Deadline exceeded", "transient"),
        (409, "The operation was aborted.", "transient"),
        (412, "Server overloaded", "transient"),
        (400, "Please try again later.", "transient"),
        (400, "Image.load: Image asset 'x' not found.", "permanent"),
        (400, "Image.select: Band pattern 'B10' did not match any bands.", "permanent"),
        (400, "No band named 'B10'", "permanent"),
        (400, "Image.load: missing band SCL", "permanent"),
        (400, "Total request size (9 bytes) must be less than or equal to 8 bytes.", "permanent"),
        (400, "Request contains an invalid argument.", "uncertain"),
        (400, "", "uncertain"),
        (418, "", "uncertain"),
    ],
)
def test_kinds_of_failures(status: int, words: str, kind: str) -> None:
    assert failure_kind(status, words) == kind


def test_reasons_anywhere_in_the_json_count() -> None:
    daily = body("Quota exceeded.", details=details("RATE_LIMIT_EXCEEDED", "RequestsPerDay"))
    assert isinstance(http_failure(429, {}, daily), RefusedError)
    minute = body("Quota exceeded.", details=details("RATE_LIMIT_EXCEEDED", "PerMinutePerProject"))
    rate = http_failure(403, {"retry-after": "7"}, minute)
    assert isinstance(rate, TransientError)
    assert (rate.throttled, rate.retry_after_s) == (True, 7.0)
    reasons = body("Forbidden", errors=[{"reason": "dailyLimitExceeded"}])
    assert isinstance(http_failure(403, {}, reasons), RefusedError)
    disabled = http_failure(403, {}, body("Enable it.", details=details("SERVICE_DISABLED", "")))
    assert "registered for Earth Engine" in str(disabled)


def test_unknown_words_are_uncertain_and_repeated() -> None:
    error = http_failure(400, {}, body("Something\nunforeseen."))
    assert isinstance(error, TransientError)
    assert error.uncertain
    assert not error.throttled
    assert (error.what, error.where) == ("Earth Engine: Something unforeseen.", "HTTP 400")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "Bad Request"),
        (b"<html>no</html>", "Bad Request"),
        (b"plain words", "plain words"),
        (b'{"error": "invalid_request"}', "invalid_request"),
        (b'{"error": {"code": 400}}', "400"),
        (b"[1]", "[1]"),
        (b"\xff\x00" * 9999, "�"),
        (b"[" * 100_000, "["),
    ],
)
def test_messages_of_other_bodies(content: bytes, message: str) -> None:
    error = http_failure(400, {}, content)
    assert message in error.what
    assert len(error.what) < 600


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("2.5", 2.5), ("-1", 0.0), ("inf", None), ("nan", None), ("1e9", 3600.0), ("", None),
     ("Wed, 21 Oct 2026 07:28:00 GMT", None)],
)  # fmt: skip
def test_retry_after_is_bounded(header: str, seconds: float | None) -> None:
    error = http_failure(503, {"retry-after": header}, b"")
    assert isinstance(error, TransientError)
    assert error.retry_after_s == seconds


@pytest.mark.parametrize(
    ("status", "kind", "content", "foreign"),
    [
        (302, "application/json", b"{}", True),
        (304, "", b"", True),
        (407, "application/json", b"{}", True),
        (511, "", b"", True),
        (200, "text/html; charset=UTF-8", b"", True),
        (200, "application/octet-stream", b"\n <!DOCTYPE html>", True),
        (404, "text/html", b"<html>", True),
        (403, "text/html", b"<html>blocked", True),
        (502, "text/html", b"<html>", False),
        (429, "text/html", b"<html>", False),
        (404, "application/json", b"{}", False),
        (200, "application/json", b"{}", False),
    ],
)
def test_responses_of_something_else(status: int, kind: str, content: bytes, foreign: bool) -> None:
    assert bool(foreign_response(status, kind, content)) == foreign


def raised(error: Exception, context: Exception | None = None) -> Exception:
    def call() -> None:
        try:
            if context:
                raise context
        finally:
            raise error

    with pytest.raises((SourceError, InputError)) as caught:
        call_client(call)
    return caught.value


def test_exceptions_of_the_client_are_converted() -> None:
    missing = ee.EEException("ee.Initialize: no project found. Call with project=")
    project = raised(missing, ValueError())
    assert isinstance(project, InputError)
    assert "--project" in str(project)
    assert isinstance(
        raised(ee.EEException('Unexpected response type of str: "<"')), TransientError
    )
    http = HttpError(Response({"status": 404}), body("x not found"))
    assert isinstance(raised(ee.EEException("x not found"), http), PermanentError)
    assert isinstance(raised(http), PermanentError)
    assert isinstance(raised(UnknownApiNameOrVersion()), PermanentError)
    for error in (KeyError("x"), TypeError(), ValueError(), ConnectionError(), TimeoutError()):
        assert isinstance(raised(error), TransientError)
