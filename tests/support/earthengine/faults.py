"""What goes wrong at the Earth Engine stand-in: the plan, the draw, the spoilt answers."""

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

from tests.support.earthengine.messages import Answer, Request, error_answer

#: What the service itself would say: HTTP status, status word, reason, message.
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
#: What happens on the wire, in `earthengine_server`.
WIRE_KINDS = ("drop", "short_body", "stall", "drip")
_BODY_KINDS = ("html", "truncated_npy", "corrupt_gzip")
_PIXEL_KINDS = ("wrong_shape", "missing_band")
#: Kinds of faults that can be drawn.
KINDS = (
    "429", "429_retry_after", "403_rate", "500", "503", "401",
    *WIRE_KINDS, *_BODY_KINDS, *_PIXEL_KINDS,
)  # fmt: skip


@dataclass(frozen=True)
class FaultPlan:
    """Which requests go wrong, and how."""

    rates: Mapping[str, float] = field(default_factory=dict)
    """Share of requests, 0..1, by kind."""
    seed: int = 0
    strikes: tuple[str, ...] = ("listAssets", "getPixels")
    """Kinds of requests to which `rates` apply."""
    always: Mapping[str, str] = field(default_factory=dict)
    """Kind of fault by a text, such as an image's id: of every request that holds it."""
    vanished: tuple[str, ...] = ()
    """Ids of images that are listed but answer 404."""
    capacity: int | None = None
    """With more listings and pixel requests in flight than this, 429."""
    quota: int | None = None
    """After so many listings and pixel requests nothing is left of the month's quota."""
    denied_projects: tuple[str, ...] = ()
    """Projects that the caller may not use."""
    retry_after_s: float = 1.0
    """Retry-After of `429_retry_after`, seconds."""
    stall_s: float = 5.0
    """How long a stall says nothing, and a drip drips, before the answer comes, seconds."""

    def __post_init__(self) -> None:
        """Refuse kinds that are not there, and rates that are none."""
        unknown = (self.rates.keys() | set(self.always.values())) - set(KINDS)
        if unknown:
            raise ValueError(f"no fault {', '.join(sorted(unknown))}; there are {', '.join(KINDS)}")
        if min(self.rates.values(), default=0) < 0 or sum(self.rates.values()) > 1:
            raise ValueError("the rates must be 0..1, and no more than 1 together")

    @classmethod
    def from_json(cls, text: str | bytes) -> FaultPlan:
        """Read a plan: an object with any of the fields.

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
            raise ValueError(f"no fault plan: {error}") from None

    def to_json(self) -> str:
        """Write the plan."""
        return json.dumps(asdict(self))

    def draw(self, request: Request, attempt: int) -> str:
        """Kind of fault of the nth attempt at a request, or none; the same in whatever order."""
        for text, kind in self.always.items():
            if text.encode() in request.key:
                return kind
        if not self.rates or request.kind not in self.strikes:
            return ""
        digest = hashlib.blake2b(f"{self.seed} {attempt} ".encode() + request.key, digest_size=8)
        lot = int.from_bytes(digest.digest()) / 2**64
        for kind, rate in sorted(self.rates.items()):
            lot -= rate
            if lot < 0:
                return "" if kind in _PIXEL_KINDS and request.kind != "getPixels" else kind
        return ""


class Faults:
    """A plan at work: it knows what has been tried how often."""

    def __init__(self, plan: FaultPlan) -> None:
        self.plan = plan
        self._lock = threading.Lock()
        self._attempts: Counter[bytes] = Counter()
        self._asked = 0

    def verdict(self, request: Request, in_flight: int) -> str:
        """Say what goes wrong with a request, if anything: of `KINDS`, or a field of the plan."""
        plan = self.plan
        images = request.kind in ("listAssets", "getPixels")
        with self._lock:
            self._asked += images
            attempt = self._attempts[request.key]
            self._attempts[request.key] += 1
            asked = self._asked
        if request.projects & set(plan.denied_projects):
            return "denied_projects"
        if images and plan.quota is not None and asked > plan.quota:
            return "quota"
        if images and plan.capacity is not None and in_flight > plan.capacity:
            return "capacity"
        if request.kind == "getPixels" and request.image_id in plan.vanished:
            return "vanished"
        return plan.draw(request, attempt)


def spoil(kind: str, plan: FaultPlan, request: Request, answer: Callable[[], Answer]) -> Answer:
    """Answer a request as a fault has it; `answer` makes the good one, when it is needed."""
    if kind in ERRORS:
        code, word, reason, message = ERRORS[kind]
        words = message.format(image=request.image_id, project=", ".join(sorted(request.projects)))
        refusal = error_answer(code, word, reason, words)
        if kind == "429_retry_after":
            return replace(refusal, headers=(("Retry-After", f"{plan.retry_after_s:g}"),))
        return refusal
    if kind == "drop":
        return Answer(b"")
    if kind == "html":
        page = b"<!DOCTYPE html><html><title>Sign in to this network</title></html>"
        return Answer(page, content_type="text/html; charset=UTF-8")
    good = answer()
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
