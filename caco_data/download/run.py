"""A download: from locations to a finished data set."""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Callable, Collection
from contextlib import ExitStack
from dataclasses import asdict
from typing import Any

from caco_data.dataset.description import read_description
from caco_data.dataset.ledger import Ledger
from caco_data.dataset.writer import DatasetWriter
from caco_data.download.fetcher import Fetcher, start_fetcher
from caco_data.download.progress import DownloadProgress
from caco_data.download.settings import ClusterSettings, DownloadSettings
from caco_data.errors import InputError
from caco_data.folder_lock import folder_lock
from caco_data.sampling.location_files import geoparquet_table
from caco_data.sampling.locations import LocationTable, extend, is_sampled
from caco_data.storage import open_storage
from caco_data.types import Location

_log = logging.getLogger(__name__)
#: Maximum number of sampled locations per requested one; with --fill, fewer are complete if the
#: settings reject more.
MAX_DRAWS = 20


def _describe(settings: DownloadSettings, locations: LocationTable) -> dict[str, Any]:
    """Constant part of dataset.json: all settings that affect the bytes of the data set."""
    points = hashlib.sha256()
    for array in (locations.location_id, locations.longitude, locations.latitude):
        points.update(array.tobytes())
    fetch = asdict(settings.fetch)
    scenes = {key: str(v) if "start" in key else v for key, v in fetch.pop("scenes").items()}
    return {
        "source": {
            "name": settings.source.name,
            "collection": settings.source.collection,
            **settings.source.record(),
        },
        "settings": {
            **fetch,
            "scenes": scenes,
            "locations_per_shard": settings.locations_per_shard,
            "fill": settings.fill,
            "locations": len(locations.location_id),
            "locations_sha256": points.hexdigest(),
        },
    }


def download(
    settings: DownloadSettings,
    locations: LocationTable,
    out: str,
    cluster: ClusterSettings,
    on_progress: Callable[[DownloadProgress], None],
    reject_failing: bool = False,
) -> DownloadProgress:
    """Download the stacks of locations into a data set, or resume an earlier run.

    A data set of the first rows of `locations`, finished or not, is extended by the others.

    Parameters
    ----------
    settings : DownloadSettings
        Source, scenes, bands and format.
    locations : LocationTable
        Locations to download.
    out : str
        Folder or fsspec URL of the data set.
    cluster : ClusterSettings
        Dask cluster and request limits.
    on_progress : callable
        Called with the current progress after every location, and otherwise once per second.
    reject_failing : bool
        Reject the locations whose requests still fail at the end, instead of leaving them pending.

    Returns
    -------
    DownloadProgress
        The final state. The data set is unfinished when requests of some locations failed although
        others succeeded, or when no location is complete.

    Raises
    ------
    InputError
        When `out` contains other files, another process writes to it, a required input is missing
        or the scheduler does not answer.
    RefusedError
        When the service refuses the user or all requests, or does not answer for too long; finished
        locations are kept.
    """
    if settings.fill and not is_sampled(locations):
        raise InputError(
            "Only locations made by 'caco-data sample', unchanged, can be extended",
            "--fill",
            "Use --no-fill",
        )
    storage = open_storage(out)
    wanted, table = len(locations), locations
    with folder_lock(storage, "caco-data download") as lock, ExitStack() as stack:
        ledger = Ledger(
            storage, _describe(settings, locations), locations.location_id.tolist(),
            lambda n: _describe(settings, table.head(n)),
        )  # fmt: skip
        if ledger.finished:
            ledger.reserve()
            counts = read_description(storage)["counts"]
            rejected = Counter(counts["rejected"])
            return DownloadProgress(wanted, counts["complete"], rejected, finished=True)
        progress = DownloadProgress(wanted, len(ledger.complete), Counter(ledger.rejected.values()))
        fetcher: Fetcher | None = None
        while True:
            pending = _locations(locations, ledger.pending)
            progress.pending = len(pending)
            on_progress(progress)
            if pending:
                if fetcher is None:
                    trial = pending, _locations(locations, ledger.complete)
                    fetcher = start_fetcher(
                        stack, settings, cluster, ledger, lock, trial, progress, on_progress
                    )
                settled = fetcher.fetch(pending)
                if progress.failed and settled:
                    continue
                if progress.failed and not reject_failing:
                    return progress
                fetcher.reject_failed()
            missing = wanted - len(ledger.complete)
            if not settings.fill or missing <= 0 or not ledger.complete:
                break
            more = _extended(locations, wanted, missing)
            if more is None:
                break
            locations = more
            ledger.extend(locations.location_id.tolist())
        if ledger.complete:
            DatasetWriter(storage, ledger, lock.check).finish(geoparquet_table(locations))
            progress.finished = True
        return progress


def _extended(locations: LocationTable, wanted: int, missing: int) -> LocationTable | None:
    """Table with as many more rows as are missing; None when it would become too long."""
    n = len(locations) + missing
    if n > MAX_DRAWS * wanted:
        _log.warning(
            "%d locations have been tried for %d complete ones: no more are sampled",
            *(len(locations), wanted),
        )
        return None
    try:
        return extend(locations.metadata, n)
    except InputError as error:
        _log.warning("rejected locations are not replaced: %s", error)
        return None


def _locations(table: LocationTable, location_ids: Collection[int]) -> list[Location]:
    """Rows of a table with the given ids, in the table's order."""
    chosen = set(location_ids)
    rows = zip(
        table.location_id.tolist(),
        table.longitude.tolist(),
        table.latitude.tolist(),
        table.utm_epsg.tolist(),
        strict=True,
    )
    return [Location(*row) for row in rows if row[0] in chosen]
