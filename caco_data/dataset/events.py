"""Events of the downloads of a data set: `events.jsonl`, one JSON object per line.

The file is a record for the user. It is not part of the data set's digests, and no program reads it
to decide what to download. docs/events.md describes the events and their fields.
"""

from __future__ import annotations

import json
import logging
import math
import os
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from caco_data.dataset.layout import EVENTS
from caco_data.dataset.redaction import redact
from caco_data.safe_paths import open_regular
from caco_data.storage import LocalStorage, Storage, read_bytes, write_bytes

_log = logging.getLogger(__name__)

#: Minimum seconds between two writes of the file to an object store, which cannot append.
REWRITE_EVERY_S = 60.0
#: Maximum length of a message, characters.
_MESSAGE = 500
#: Maximum length of a line that is read, bytes; longer ones are not events.
_LINE = 1 << 16
#: Maximum number of different causes or reasons that are counted separately.
_KINDS = 50
_OTHER = "other"
#: Number of latest `stopped` events in a summary.
_STOPPED = 5


def timestamp(moment: datetime) -> str:
    """Format a UTC time with milliseconds, `2026-11-24T18:00:00.123Z`."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class EventLog:
    """Appends events to `events.jsonl`; not thread-safe.

    A line is written at once to a local folder. For an object store, the lines are collected and
    the object is written again at most once per `REWRITE_EVERY_S`, and when the log is closed.

    A failure to write is reported once as a warning and never raised: it must not hide the error
    that ends the run.

    Parameters
    ----------
    storage : Storage
        Folder of the data set.
    """

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._path = storage.path(EVENTS) if isinstance(storage, LocalStorage) else None
        self._content: bytes | None = None  # of the object, without `_new`
        self._new = b""
        self._written_at = -math.inf
        self._warned = False

    def write(self, event: str, **fields: object) -> None:
        """Write an event; messages in its fields are redacted and shortened."""
        entry = {"time": timestamp(datetime.now(UTC)), "event": event, **_clean(fields)}
        line = json.dumps(entry).encode() + b"\n"
        if self._path is None:
            self._new += line
            self.flush()
        else:
            path = self._path
            self._try(lambda: _append(path, line))

    def flush(self, at_once: bool = False) -> None:
        """Write collected lines to an object store if the last write is long enough ago."""
        now = time.monotonic()
        if self._new and (at_once or now - self._written_at >= REWRITE_EVERY_S):
            self._written_at = now  # also after a failure, which is not repeated at every event
            self._try(self._rewrite)

    def _rewrite(self) -> None:
        """Write the object again: its earlier content and the new lines."""
        if self._content is None:
            exists = self._storage.exists(EVENTS)
            self._content = read_bytes(self._storage, EVENTS) if exists else b""
        content = _ended(self._content) + self._new
        write_bytes(self._storage, EVENTS, content)
        self._content, self._new = content, b""

    def _try(self, change: Callable[[], None]) -> None:
        try:
            change()
        except Exception as error:  # object stores raise exceptions of their own
            if not self._warned:
                self._warned = True
                _log.warning("Cannot write %s: %s", EVENTS, redact(str(error)))


def _ended(content: bytes) -> bytes:
    """Content that ends with a complete line; a killed process may have cut the last one."""
    return content + b"\n" if content and not content.endswith(b"\n") else content


def _append(path: Path, line: bytes) -> None:
    """Append a line; start a new one if a killed process or a full disk cut the last one."""
    with open(path, "a+b", buffering=0, opener=open_regular) as file:
        if file.seek(0, os.SEEK_END):
            file.seek(-1, os.SEEK_END)
            line = line if file.read(1) == b"\n" else b"\n" + line
        file.write(line)


def _clean(value: Any) -> Any:
    """Redact and shorten all text in a JSON value, also in the keys of objects."""
    if isinstance(value, str):
        text = " ".join(redact(value).split())
        return text if len(text) <= _MESSAGE else text[: _MESSAGE - 3] + "..."
    if isinstance(value, Mapping):
        return {_clean(str(key)): _clean(item) for key, item in value.items()}
    return value


def read_events(storage: Storage) -> Iterator[dict[str, Any]]:
    """Read the events in order; cut lines and lines that are not events are skipped.

    Yields
    ------
    dict
        The event, with at least `time` and `event`, both text.

    Raises
    ------
    FileNotFoundError
        When the data set has no `events.jsonl`.
    """
    with storage.open(EVENTS) as file:
        while line := file.readline(_LINE):
            try:
                entry = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if not isinstance(entry, dict) or not isinstance(entry.get("event"), str):
                continue
            if isinstance(entry.get("time"), str):
                yield entry


def summarise_events(storage: Storage) -> dict[str, Any] | None:
    """Count the events of all runs, in one pass and constant memory.

    Returns
    -------
    dict or None
        JSON-ready: `runs`; `rejected` by reason, `failed`; `retries` by cause; `throttled`;
        `restricted`; `outages` and their total duration `outage_s`, seconds; `workers_lost`,
        `workers_started`; `stopped`, the last few, with `time` and `reason`; `first` and `last`,
        times of the first and the last event. None without `events.jsonl`.
    """
    if not storage.exists(EVENTS):
        return None
    events: Counter[str] = Counter()
    rejected: Counter[str] = Counter()
    retries: Counter[str] = Counter()
    stopped: deque[dict[str, str]] = deque(maxlen=_STOPPED)
    outage_s, since = 0.0, ""
    first = last = None
    for entry in read_events(storage):
        event = entry["event"]
        first, last = first or entry["time"], entry["time"]
        _count(events, event, 1)
        match event:
            case "rejected":
                _count(rejected, str(entry.get("reason")), 1)
            case "retries" if isinstance(entry.get("causes"), dict):
                for cause, n in entry["causes"].items():
                    _count(retries, cause, int(_number(n)))
            case "stopped":
                stopped.append({"time": last, "reason": str(entry.get("reason"))})
            case "outage":
                since = str(entry.get("since"))
            case "outage over":
                outage_s, since = outage_s + _number(entry.get("seconds")), ""
            case "end":  # an outage may last until the end of a run
                outage_s, since = outage_s + _seconds(since, last), ""
            case "start":
                since = ""
    return {
        "runs": events["start"],
        "rejected": dict(sorted(rejected.items())),
        "failed": events["failed"],
        "retries": dict(retries.most_common()),
        "throttled": events["throttled"],
        "restricted": events["restricted"],
        "outages": events["outage"],
        "outage_s": round(outage_s, 1),
        "workers_lost": events["worker lost"],
        "workers_started": events["worker started"],
        "stopped": list(stopped),
        "first": first,
        "last": last,
    }


def _count(counts: Counter[str], name: str, n: int) -> None:
    """Add to a count; the number of different names is limited."""
    counts[name if name in counts or len(counts) < _KINDS else _OTHER] += n


def _number(value: object) -> float:
    """A plausible count or duration, else 0 (also for NaN)."""
    return value if isinstance(value, int | float) and 0 <= value < 1e15 else 0.0


def _seconds(since: str, until: str) -> float:
    """Seconds between two times in text; 0 when one is missing or malformed."""
    with suppress(ValueError, TypeError):
        seconds = datetime.fromisoformat(until) - datetime.fromisoformat(since)
        return max(0.0, seconds.total_seconds())
    return 0.0
