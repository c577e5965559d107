"""Faulty responses of the test server."""

from __future__ import annotations

import gzip
import io
import json
import math
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import numpy as np

from tests.support.earthengine.faults import (
    ERRORS,
    LISTING_KINDS,
    PIXEL_KINDS,
    FaultPlan,
    applies,
)
from tests.support.earthengine.messages import Request, Response, error_response

_PAGE = b"<!DOCTYPE html><html><title>Sign in to this network</title></html>"
_HTML = "text/html; charset=UTF-8"
#: Responses of something other than the service.
_FOREIGN = {
    "drop": Response(b""),
    "302": Response(b"", 302, _HTML, (("Location", "https://login.example.net/?back=1"),)),
    "html": Response(_PAGE, 200, _HTML),
    "html_404": Response(_PAGE, 404, _HTML),
    "no_content": Response(b"", 204),
    "json_list": Response(b"[]"),
    "json_other": Response(b'{"login": "required"}'),
}


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
    if kind == "refusal":
        return error_response(
            plan.refusal_status, "INVALID_ARGUMENT", "badRequest", plan.refusal_message
        )
    if kind == "invalid_grant":
        refusal = {"error": kind, "error_description": "Token has been expired or revoked."}
        return Response(json.dumps(refusal).encode(), 400)
    if kind in _FOREIGN:
        return _FOREIGN[kind]
    good = compute()
    if kind == "restricted":
        status = ("x-earth-engine-quota-status", "parallelism_restricted=true")
        return replace(good, headers=(*good.headers, status))
    if kind == "truncated_npy":
        return replace(good, body=good.body[: len(good.body) * 2 // 3])
    if kind == "corrupt_gzip":
        packed = bytearray(gzip.compress(good.body, 1))
        packed[-8] ^= 0xFF  # the checksum
        return replace(good, body=bytes(packed), headers=(("Content-Encoding", "gzip"),))
    if good.status != 200 or not applies(kind, request):
        return good
    if kind in PIXEL_KINDS:
        return replace(good, body=_faulty_pixels(kind, good.body))
    if kind in LISTING_KINDS:
        page = json.loads(good.body)
        _spoil_listing(kind, page, request)
        return replace(good, body=json.dumps(page).encode())
    return good


def _faulty_pixels(kind: str, npy: bytes) -> bytes:
    pixels = np.load(io.BytesIO(npy))
    names: tuple[str, ...] = pixels.dtype.names or ()
    version = (1, 0)
    match kind:
        case "npy_magic":
            return b"\x93NUMPX" + npy[6:]
        case "npy_version_2" | "npy_version_3":
            version = (int(kind[-1]), 0)
        case "wrong_shape":
            pixels = pixels[:-1]
        case "missing_band":
            pixels = pixels[list(names[1:])].copy()
        case "fortran_order":
            pixels = np.asfortranarray(pixels)
        case "int32_band" | "above_uint16":
            pixels = pixels.astype([(name, "<i4") for name in names])
            if kind == "above_uint16":
                pixels[names[0]][0, 0] = 65_536
            else:
                # Harmonised values can be negative, where 0 is expected.
                pixels[names[0]][pixels[names[0]] == 0] = -7
        case "float_band":
            pixels = pixels.astype([(name, "<f8") for name in names])
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, pixels, version, allow_pickle=False)
    return buffer.getvalue()


def _spoil_listing(kind: str, page: dict[str, Any], request: Request) -> None:
    """Add a fault to a page: to its first entry, if it is about one."""
    entries = page.get("assets") or [{}]
    if kind == "no_bands":
        for entry in entries:
            entry.pop("bands", None)
    elif kind == "repeated_token":
        page["nextPageToken"] = "0"
    elif kind == "endless_pages":
        page["assets"] = []
        page["nextPageToken"] = str(int(request.query.get("pageToken", 0)) + 1)
    elif kind in ("no_zone", "other_zone"):
        for entry in entries:
            time = datetime.fromisoformat(entry["startTime"])
            local = time.astimezone(timezone(timedelta(hours=2)))
            naive = time.replace(tzinfo=None)
            entry["startTime"] = (naive if kind == "no_zone" else local).isoformat()
    elif kind == "third_coordinate":
        for entry in entries:
            for vertex in entry["geometry"]["coordinates"][0]:
                vertex.append(0.0)
    elif kind == "nan_clouds":
        entries[0]["properties"]["CLOUDY_PIXEL_PERCENTAGE"] = math.nan
    else:
        ring = entries[0]["geometry"]["coordinates"][0]
        if kind == "two_vertices":
            ring[:] = [ring[0], ring[1], ring[0]]
        elif kind == "no_area":
            ring[:] = [ring[0], ring[0], ring[0], ring[0]]
        elif kind == "infinite_vertex":
            ring[1][0] = math.inf
        else:  # self_crossing
            ring[1], ring[2] = ring[2], ring[1]
