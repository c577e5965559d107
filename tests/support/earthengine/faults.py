"""Faults of the test server: their plan, their random selection, the faulty responses."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from tests.support.earthengine.messages import Request, Response, error_response

#: Errors of the service: HTTP status, status name, reason, message.
ERRORS: dict[str, tuple[int, str, str, str]] = {
    "429": (429, "RESOURCE_EXHAUSTED", "rateLimitExceeded", "Too many concurrent requests."),
    "429_retry_after": (429, "RESOURCE_EXHAUSTED", "rateLimitExceeded", "Too many requests."),
    "403_rate": (403, "PERMISSION_DENIED", "rateLimitExceeded", "Rate Limit Exceeded"),
    "500": (500, "INTERNAL", "backendError", "An internal error has occurred"),
    "503": (503, "UNAVAILABLE", "backendError", "The service is currently unavailable."),
    "401": (
        401, "UNAUTHENTICATED", "authError", "Request had invalid authentication credentials. "
        "Expected OAuth 2 access token, login cookie or other valid authentication credential.",
    ),
    "capacity": (429, "RESOURCE_EXHAUSTED", "rateLimitExceeded", "Too many concurrent requests."),
    "quota": (
        429, "RESOURCE_EXHAUSTED", "rateLimitExceeded", "Quota exceeded for quota metric 'EECU' "
        "and limit 'EECU-hours per month' of service 'earthengine.googleapis.com'.",
    ),
    "denied_projects": (
        403, "PERMISSION_DENIED", "forbidden",
        "Caller does not have required permission to use project {project}.",
    ),
    "vanished": (
        404, "NOT_FOUND", "notFound", "Image.load: Image asset '{image}' not found (does not exist "
        "or caller does not have access).",
    ),
}  # fmt: skip
#: Faults of the connection, implemented in `http.py`.
CONNECTION_KINDS = ("drop", "short_body", "stall", "drip")
_BODY_KINDS = ("html", "truncated_npy", "corrupt_gzip")
_PIXEL_KINDS = ("wrong_shape", "missing_band")
#: Faults that can occur at random.
KINDS = (
    "429", "429_retry_after", "403_rate", "500", "503", "401",
    *CONNECTION_KINDS, *_BODY_KINDS, *_PIXEL_KINDS,
)  # fmt: skip


@dataclass(frozen=True)
class FaultPlan:
    """The requests that fail, and their faults."""

    rates: Mapping[str, float] = field(default_factory=dict)
    """Fraction of requests, 0..1, per fault."""
    seed: int = 0
    applies_to: tuple[str, ...] = ("listAssets", "getPixels")
    """Kinds of requests to which `rates` apply."""
    always: Mapping[str, str] = field(default_factory=dict)
    """Faults by a text, such as an image id; apply to every request that contains it."""
    vanished: tuple[str, ...] = ()
    """Ids of images that are listed but respond with 404."""
    capacity: int | None = None
    """429 when more listings and pixel requests are in flight."""
    quota: int | None = None
    """Number of listings and pixel requests after which the monthly quota is used up."""
    denied_projects: tuple[str, ...] = ()
    """Projects that the caller has no permission to use."""
    retry_after_s: float = 1.0
    """Retry-After of `429_retry_after`, seconds."""
    stall_s: float = 5.0
    """Seconds that a stall sends nothing, and a drip single bytes, before the rest is sent."""

    def __post_init__(self) -> None:
        """Raise ValueError for unknown faults and invalid rates."""
        unknown = (self.rates.keys() | set(self.always.values())) - set(KINDS)
        if unknown:
            raise ValueError(
                f"unknown fault {', '.join(sorted(unknown))}; known: {', '.join(KINDS)}"
            )
        if min(self.rates.values(), default=0) < 0 or sum(self.rates.values()) > 1:
            raise ValueError("rates must be in 0..1 and their sum at most 1")

    @classmethod
    def from_json(cls, text: str | bytes) -> FaultPlan:
        """Read a plan from a JSON object with any of the fields.

        Raises
        ------
        ValueError
            For anything else.
        """
        try:
            fields: dict[str, Any] = {
                name: tuple(value) if isinstance(value, list) else value
                for name, value in json.loads(text).items()
            }
            return cls(**fields)
        except (TypeError, AttributeError) as error:
            raise ValueError(f"not a fault plan: {error}") from None

    def to_json(self) -> str:
        """Return the plan as JSON."""
        return json.dumps(asdict(self))

    def random_fault(self, request: Request, attempt: int) -> str:
        """Return the fault of an attempt at a request, or an empty string.

        It does not depend on the order of the requests.
        """
        for text, kind in self.always.items():
            if text.encode() in request.key:
                return kind
        if not self.rates or request.kind not in self.applies_to:
            return ""
        digest = hashlib.blake2b(f"{self.seed} {attempt} ".encode() + request.key, digest_size=8)
        value = int.from_bytes(digest.digest()) / 2**64
        for kind, rate in sorted(self.rates.items()):
            value -= rate
            if value < 0:
                return "" if kind in _PIXEL_KINDS and request.kind != "getPixels" else kind
        return ""


class Faults:
    """A plan with the number of attempts per request so far."""

    def __init__(self, plan: FaultPlan) -> None:
        self.plan = plan
        self._lock = threading.Lock()
        self._attempts: Counter[bytes] = Counter()
        self._requests = 0

    def fault_of(self, request: Request, in_flight: int) -> str:
        """Return a request's fault: one of `KINDS`, a field of the plan, or an empty string."""
        plan = self.plan
        images = request.kind in ("listAssets", "getPixels")
        with self._lock:
            self._requests += images
            attempt = self._attempts[request.key]
            self._attempts[request.key] += 1
            count = self._requests
        if request.projects & set(plan.denied_projects):
            return "denied_projects"
        if images and plan.quota is not None and count > plan.quota:
            return "quota"
        if images and plan.capacity is not None and in_flight > plan.capacity:
            return "capacity"
        if request.kind == "getPixels" and request.image_id in plan.vanished:
            return "vanished"
        return plan.random_fault(request, attempt)


def faulty_response(
    kind: str, plan: FaultPlan, request: Request, compute: Callable[[], Response]
) -> Response:
    """Return the response with a fault; `compute` returns the correct one, if it is needed."""
    if kind in ERRORS:
        code, name, reason, message = ERRORS[kind]
        text = message.format(image=request.image_id, project=", ".join(sorted(request.projects)))
        error = error_response(code, name, reason, text)
        if kind == "429_retry_after":
            return replace(error, headers=(("Retry-After", f"{plan.retry_after_s:g}"),))
        return error
    if kind == "drop":
        return Response(b"")
    if kind == "html":
        page = b"<!DOCTYPE html><html><title>Sign in to this network</title></html>"
        return Response(page, content_type="text/html; charset=UTF-8")
    good = compute()
    if kind == "truncated_npy":
        return replace(good, body=good.body[: len(good.body) * 2 // 3])
    if kind == "corrupt_gzip":
        packed = bytearray(gzip.compress(good.body, 1))
        packed[-8] ^= 0xFF  # the checksum
        return replace(good, body=bytes(packed), headers=(("Content-Encoding", "gzip"),))
    if kind in _PIXEL_KINDS and good.status == 200:
        pixels = np.load(io.BytesIO(good.body))
        if kind == "wrong_shape":
            pixels = pixels[:-1]
        else:
            pixels = pixels[list(pixels.dtype.names[1:])].copy()
        buffer = io.BytesIO()
        np.save(buffer, pixels)
        return replace(good, body=buffer.getvalue())
    return good
