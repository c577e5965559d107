"""A download: from locations to a finished data set."""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from caco_data.dataset.description import read_description
from caco_data.dataset.ledger import Ledger
from caco_data.dataset.writer import DatasetWriter
from caco_data.download.background_writer import BackgroundWriter
from caco_data.download.fetch import cloud_score_source
from caco_data.download.progress import DownloadProgress
from caco_data.download.settings import ClusterSettings, DownloadSettings
from caco_data.errors import InputError
from caco_data.sampling.location_files import geoparquet_table
from caco_data.sampling.locations import LocationTable, extend
from caco_data.sources.limiter import Limiter, RateShare
from caco_data.sources.retry import call_with_retries
from caco_data.storage import open_storage
from caco_data.types import Location

if TYPE_CHECKING:
    from caco_data.download.cluster import Workers


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


def _try_to_open(settings: DownloadSettings, cluster: ClusterSettings) -> None:
    """Open the source once with few retries: errors are raised before anything is written."""
    limiter = Limiter(RateShare(1, cluster.requests_per_second))
    retry = replace(cluster.retry, max_retries=min(3, cluster.retry.max_retries))
    source = call_with_retries(lambda: settings.source.open(limiter), retry, limiter)
    cloud_score_source(source, settings.fetch)


def download(
    settings: DownloadSettings,
    locations: LocationTable,
    out: str,
    cluster: ClusterSettings,
    on_progress: Callable[[DownloadProgress], None],
) -> DownloadProgress:
    """Download the stacks of locations into a data set, or resume an earlier run.

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

    Returns
    -------
    DownloadProgress
        The final state.

    Raises
    ------
    InputError
        When `out` contains other files or the scheduler does not answer.
    RefusedError
        When the service refuses the user; finished locations are kept.
    """
    from caco_data.download.cluster import connect  # imports Dask, which takes a second

    if settings.fill and not locations.metadata:
        raise InputError(
            "Only locations made by 'caco-data sample' can be extended",
            "--fill",
            "Omit this option",
        )
    if not cluster.scheduler:  # else the workers have the credentials, maybe not this machine
        _try_to_open(settings, cluster)
    storage = open_storage(out)
    wanted = len(locations.location_id)
    ledger = Ledger(storage, _describe(settings, locations), locations.location_id.tolist())
    if ledger.finished:
        counts = read_description(storage)["counts"]
        return DownloadProgress(wanted, counts["complete"], Counter(counts["rejected"]))
    writer = DatasetWriter(storage, ledger)
    progress = DownloadProgress(wanted, len(ledger.complete), Counter(ledger.rejected.values()))
    began = time.monotonic()

    def report(workers: Workers) -> None:
        progress.update(workers.statuses.values())
        progress.elapsed_s = time.monotonic() - began
        on_progress(progress)

    with ExitStack() as stack:
        workers = None
        while True:
            remaining = _pending(locations, ledger)
            progress.pending = len(remaining)
            on_progress(progress)
            if remaining:
                workers = workers or stack.enter_context(
                    connect(cluster, settings.source, settings.fetch)
                )
                storing = BackgroundWriter(writer, cluster.concurrency)
                _fetch(workers, remaining, storing, progress, report)
            missing = wanted - len(ledger.complete)
            if not settings.fill or missing <= 0 or not ledger.complete:
                break
            locations = extend(locations.metadata, len(locations.location_id) + missing)
            ledger.extend(locations.location_id.tolist())
    writer.finish(geoparquet_table(locations))
    return progress


def _fetch(
    workers: Workers,
    locations: list[Location],
    storing: BackgroundWriter,
    progress: DownloadProgress,
    report: Callable[[Workers], None],
) -> None:
    """Fetch and store locations; report after each one, and otherwise once per second."""
    with storing:
        for outcome in workers.outcomes(locations):
            if outcome is not None:
                storing.add(outcome)
                progress.settle(outcome)
            report(workers)


def _pending(locations: LocationTable, ledger: Ledger) -> list[Location]:
    pending = set(ledger.pending)
    rows = zip(
        locations.location_id.tolist(),
        locations.longitude.tolist(),
        locations.latitude.tolist(),
        locations.utm_epsg.tolist(),
        strict=True,
    )
    return [Location(*row) for row in rows if row[0] in pending]
