"""Faults of the test server: their names, their plan, their random selection."""

from __future__ import annotations

import hashlib
import json
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from tests.support.earthengine.messages import Request

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
    "400_timed_out": (400, "INVALID_ARGUMENT", "badRequest", "Computation timed out."),
    "400_capacity": (400, "INVALID_ARGUMENT", "badRequest", "Earth Engine capacity exceeded."),
    "400_internal": (400, "INVALID_ARGUMENT", "badRequest", "An internal error has occurred"),
    "400_unknown": (400, "INVALID_ARGUMENT", "badRequest", "Request contains an invalid argument."),
    "400_missing_band": (400, "INVALID_ARGUMENT", "badRequest", "Image.load: missing band SCL"),
    "407": (407, "UNAUTHENTICATED", "proxy", "Proxy Authentication Required"),
    "413": (413, "INVALID_ARGUMENT", "uploadTooLarge", "Request Entity Too Large"),
    "429_concurrent": (
        429, "RESOURCE_EXHAUSTED", "quotaExceeded",
        "Quota exceeded: Too many concurrent aggregations.",
    ),
    "429_daily": (
        429, "RESOURCE_EXHAUSTED", "rateLimitExceeded", "Custom quota exceeded: Your usage "
        "exceeded the custom quota for 'earthengine.googleapis.com/daily_eecu_usage_time'.",
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
#: Other faults, implemented in `faulty.py`. Responses of something other than the service:
FOREIGN_KINDS = ("302", "html", "html_404", "no_content", "json_list", "json_other")
#: Faults of the body of any response.
BODY_KINDS = ("truncated_npy", "corrupt_gzip")
#: Faults of pixels only.
PIXEL_KINDS = (
    "wrong_shape", "missing_band", "npy_magic", "float_band", "above_uint16",
    "npy_version_2", "npy_version_3", "int32_band", "fortran_order",
)  # fmt: skip
#: Refusal of a token, of requests of the kind `token` only.
TOKEN_KINDS = ("invalid_grant",)
#: Faults of listings only.
LISTING_KINDS = (
    "no_bands", "repeated_token", "endless_pages", "two_vertices", "no_area", "infinite_vertex",
    "nan_clouds", "self_crossing", "third_coordinate", "no_zone", "other_zone",
)  # fmt: skip
#: Kinds after which the response has the correct content.
COMPLETE_KINDS = (
    "", "restricted", "npy_version_2", "npy_version_3", "int32_band", "fortran_order",
)  # fmt: skip
_FIELDS = ("capacity", "quota", "denied_projects", "vanished")  # of the plan
#: Faults that can occur at random.
KINDS = (
    *(kind for kind in ERRORS if kind not in _FIELDS), "restricted",
    *CONNECTION_KINDS, *FOREIGN_KINDS, *BODY_KINDS, *PIXEL_KINDS, *LISTING_KINDS, *TOKEN_KINDS,
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
    refuse_pixels_after: int | None = None
    """Number of pixel requests after which all are refused."""
    refusal_status: int = 400
    """HTTP status of these refusals."""
    refusal_message: str = (
        "Total request size (52428800 bytes) must be less than or equal to 50331648 bytes."
    )
    """Message of these refusals."""
    outage: str = ""
    """Fault of every request of any kind, such as `503` or `drop`; none if empty."""
    denied_projects: tuple[str, ...] = ()
    """Projects that the caller has no permission to use."""
    retry_after_s: float = 1.0
    """Retry-After of `429_retry_after`, seconds."""
    stall_s: float = 5.0
    """Seconds that a stall sends nothing, and a drip single bytes, before the rest is sent."""

    def __post_init__(self) -> None:
        """Raise ValueError for unknown faults and invalid rates."""
        unknown = (self.rates.keys() | set(self.always.values())) - set(KINDS)
        unknown |= {self.outage} - {"", *KINDS}
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
                return kind if applies(kind, request) else ""
        return ""


def applies(kind: str, request: Request) -> bool:
    """Return whether a request of this kind can have the fault."""
    if kind in PIXEL_KINDS:
        return request.kind == "getPixels"
    if kind in TOKEN_KINDS:
        return request.kind == "token"
    return kind not in LISTING_KINDS or request.kind == "listAssets"


class Faults:
    """A plan with the number of attempts per request so far."""

    def __init__(self, plan: FaultPlan) -> None:
        self.plan = plan
        self._lock = threading.Lock()
        self._attempts: Counter[bytes] = Counter()
        self._requests = 0
        self._pixels = 0

    def fault_of(self, request: Request, in_flight: int) -> str:
        """Return a request's fault: one of `KINDS`, a field of the plan, or an empty string."""
        plan = self.plan
        images = request.kind in ("listAssets", "getPixels")
        with self._lock:
            self._requests += images
            attempt = self._attempts[request.key]
            self._attempts[request.key] += 1
            count = self._requests
            self._pixels += request.kind == "getPixels"
            pixels = self._pixels
        if plan.outage:
            return plan.outage
        if request.projects & set(plan.denied_projects):
            return "denied_projects"
        if images and plan.quota is not None and count > plan.quota:
            return "quota"
        if images and plan.capacity is not None and in_flight > plan.capacity:
            return "capacity"
        if request.kind == "getPixels" and request.image_id in plan.vanished:
            return "vanished"
        refuse_after = plan.refuse_pixels_after
        if request.kind == "getPixels" and refuse_after is not None and pixels > refuse_after:
            return "refusal"
        return plan.random_fault(request, attempt)
