"""Detection of an outage: requests fail and none succeeds, over all workers."""

from __future__ import annotations

import logging

from caco_data.errors import RefusedError
from caco_data.sources.tally import Counts

_log = logging.getLogger(__name__)
#: Seconds between two messages about an outage.
MESSAGE_EVERY_S = 60.0


class OutageWatch:
    """Reports an outage once per minute, and ends the run when it lasts too long.

    Parameters
    ----------
    max_outage_s : float
        Duration after which the run ends, seconds.
    """

    def __init__(self, max_outage_s: float) -> None:
        self._max_outage_s = max_outage_s
        self._answers = 0
        self._failures = 0
        self._since: float | None = None
        self._messages = 0

    def update(self, now_s: float, counts: Counts, last_failure: str) -> None:
        """Compare the totals of all workers with the earlier ones.

        Parameters
        ----------
        now_s : float
            Seconds since any fixed moment.
        counts : Counts
            Totals of all workers.
        last_failure : str
            Message of the last failure.

        Raises
        ------
        RefusedError
            When no request has succeeded for `max_outage_s`.
        """
        failures = sum(counts.retries.values())
        if counts.answers != self._answers:
            self._end(now_s)
        elif failures > self._failures and self._since is None:
            self._since = now_s
        self._answers, self._failures = counts.answers, failures
        if self._since is None:
            return
        seconds = now_s - self._since
        if seconds > self._max_outage_s:
            raise RefusedError(
                f"The service has not answered for {duration(seconds)}: {last_failure}",
                "",
                "Run the same command again later, or with a longer --max-outage; finished "
                "locations are kept",
            )
        if seconds >= (self._messages + 1) * MESSAGE_EVERY_S:
            self._messages += 1
            _log.warning(
                "no answer from the service for %s (%s); retrying for up to %s",
                *(duration(seconds), last_failure.rstrip("."), duration(self._max_outage_s)),
            )

    def seconds(self, now_s: float) -> float:
        """Duration of the present outage; 0 while there is none."""
        return 0.0 if self._since is None else now_s - self._since

    def _end(self, now_s: float) -> None:
        if self._since is not None and self._messages:
            _log.warning("the service answers again after %s", duration(now_s - self._since))
        self._since, self._messages = None, 0


def duration(seconds: float) -> str:
    """Duration in words, such as `40 s`, `12 min` or `3.5 h`."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 3 * 3600 else f"{seconds / 3600:.1f} h"
