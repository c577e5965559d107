"""Result of a check of `doctor`, and checks that several sources need."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, TypeVar
from urllib.parse import urlsplit

from caco_data.errors import CacoDataError
from caco_data.types import Location

T = TypeVar("T")
State = Literal["ok", "warn", "fail"]
#: Timeout of a connection attempt, seconds; a request may take twice as long.
TIMEOUT_S = 5.0
#: Any place and date with images, here Toulouse.
PLACE = Location(0, 1.44, 43.6, 32631)
DAY = datetime(2020, 6, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Check:
    """Result of one check."""

    name: str
    state: State
    found: str
    remedy: str = ""
    """What the user can do; empty when the check passed."""


def guarded(name: str, run: Callable[[], tuple[Check, T]]) -> tuple[Check, T | None]:
    """Run a check that also returns what it found; an error of caco-data becomes a failed check."""
    try:
        return run()
    except CacoDataError as error:
        where = f" ({error.where})" if error.where else ""
        return Check(name, "fail", f"{error.what}{where}", error.remedy or "Try again"), None


def endpoint(name: str, url: str) -> Check:
    """Check that a service accepts a connection, or that a proxy is set."""
    parts = urlsplit(url)
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
        began = time.monotonic()
        socket.create_connection((parts.hostname or "", port), TIMEOUT_S).close()
    except (OSError, ValueError) as error:
        if any(os.environ.get(name) for name in ("HTTPS_PROXY", "https_proxy")):
            return Check(name, "warn", f"{url}: no direct connection; a proxy is set")
        return Check(
            name, "fail", f"{url}: {error}", "Check the network, the firewall and HTTPS_PROXY"
        )
    return Check(name, "ok", f"{url}, {(time.monotonic() - began) * 1000:.0f} ms to connect")
