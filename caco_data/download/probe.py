"""Trial before a download: the source is opened and one tile is read.

A refusal, a missing login or a proxy is reported before anything is written.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from caco_data.download.breaker import refusal
from caco_data.download.fetch import Requests, plan_location
from caco_data.download.settings import FetchSettings
from caco_data.errors import InputError, PermanentError, RefusedError, TransientError
from caco_data.sources.base import SourceSettings
from caco_data.sources.limiter import Limiter
from caco_data.sources.retry import RetryPolicy, call_with_retries
from caco_data.types import Grid, Location, Plan, Scene

#: Time without an answer after which the trial ends, seconds: nothing has been started yet.
MAX_OUTAGE_S = 5.0
#: Maximum number of locations whose scenes are listed to find one with enough scenes.
MAX_LISTED = 20
#: Failures, each with another location, after which the trial fails.
MAX_FAILED = 3

#: A tile that can be read.
KnownTile = tuple[Scene, Grid]


def try_source(
    settings: SourceSettings,
    fetch: FetchSettings,
    retry: RetryPolicy,
    limiter: Limiter,
    locations: Iterable[Location],
) -> KnownTile | None:
    """Open a source and read one tile, retrying for a short time only.

    Returns
    -------
    tuple of Scene and Grid, or None
        See `probe`.

    Raises
    ------
    InputError
        When a required input is missing, or a proxy or a login page responds.
    RefusedError
        When the service refuses the user or all requests, or does not answer.
    """
    retry = replace(retry, max_outage_s=min(MAX_OUTAGE_S, retry.max_outage_s))
    try:
        source = call_with_retries(lambda: settings.open(limiter), retry, limiter)
        return probe(locations, Requests(source, fetch, retry, limiter))
    except TransientError as error:
        if error.intercepted:
            raise InputError(error.what, error.where, error.remedy) from error
        raise RefusedError(
            f"The service does not answer: {error}",
            "",
            "Run the same command again later; finished locations are kept",
        ) from error


def probe(locations: Iterable[Location], requests: Requests) -> KnownTile | None:
    """Read one tile with all bands and SCL, of the first location that can be planned.

    If that fails, further locations are tried: an image may have been removed from the archive.

    Returns
    -------
    tuple of Scene and Grid, or None
        The tile; None when no location has enough scenes.

    Raises
    ------
    RefusedError
        When the service refuses to list the scenes or to read the tiles; with its message.
    TransientError
        When the service does not answer.
    """
    failures: list[Exception] = []
    for location in locations:
        try:
            plan = plan_location(location, requests)
            if isinstance(plan, Plan):
                scene = plan.periods[0].slots[0].fallback[0]
                requests.read(scene, plan.grid)
                return scene, plan.grid
        except (InputError, RefusedError):
            raise
        except Exception as error:
            failures.append(error)
            if len(failures) == MAX_FAILED:
                break
    if not failures:
        return None
    if isinstance(failures[-1], PermanentError):
        raise refusal(failures[-1])
    raise failures[-1]
