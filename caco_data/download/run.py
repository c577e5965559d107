"""Plans to stacks to shards: a download, and how far it is."""

from __future__ import annotations

import hashlib
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import asdict, replace
from queue import Full, Queue
from typing import Any

from caco_data.dataset.reader import read_description
from caco_data.dataset.writer import Workspace
from caco_data.download.fetch import scored
from caco_data.download.progress import DownloadProgress
from caco_data.download.settings import ClusterSettings, DownloadSettings
from caco_data.errors import InputError
from caco_data.sampling.location_files import geoparquet_table
from caco_data.sampling.locations import LocationTable, extend
from caco_data.sources.limiter import Limiter, RateShare
from caco_data.sources.retry import call_with_retries
from caco_data.storage import open_storage
from caco_data.types import Location, Outcome

#: Longest an interrupt waits for what is finished to be kept, seconds.
STOP_S = 2.0


def _describe(settings: DownloadSettings, locations: LocationTable) -> dict[str, Any]:
    """Fixed part of dataset.json: all that decides the data set's bytes."""
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


class _Keeper:
    """Keeps outcomes in a thread, so that new work is handed out while a shard is written.

    Parameters
    ----------
    workspace : Workspace
    most : int
        Outcomes that may wait; with more, `keep` waits too.
    """

    def __init__(self, workspace: Workspace, most: int) -> None:
        self._workspace = workspace
        self._waiting: Queue[Outcome | None] = Queue(most)
        self._failure: BaseException | None = None
        # A daemon: an interrupt waits for no shard, and what is half written has no name yet.
        self._thread = threading.Thread(target=self._work, daemon=True)

    def __enter__(self) -> _Keeper:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        with suppress(Full):
            self._waiting.put(None, timeout=None if kind is None else STOP_S)
        self._thread.join(None if kind is None else STOP_S)
        if kind is None and self._failure:
            raise self._failure

    def keep(self, outcome: Outcome) -> None:
        """Keep an outcome soon; raises what went wrong with an earlier one."""
        if self._failure:
            raise self._failure
        self._waiting.put(outcome)

    def _work(self) -> None:
        while (outcome := self._waiting.get()) is not None:
            try:
                if not self._failure:
                    self._workspace.keep(outcome)
            except BaseException as error:
                self._failure = error


def _try_to_open(settings: DownloadSettings, cluster: ClusterSettings) -> None:
    """Open the source, so that an error of it is raised before anything is written."""
    limiter = Limiter(RateShare(1, cluster.requests_per_second))
    retry = replace(cluster.retry, max_retries=min(3, cluster.retry.max_retries))
    scored(call_with_retries(lambda: settings.source.open(limiter), retry, limiter), settings.fetch)


def download(
    settings: DownloadSettings,
    locations: LocationTable,
    out: str,
    cluster: ClusterSettings,
    on_progress: Callable[[DownloadProgress], None],
) -> DownloadProgress:
    """Download the stacks of locations into a data set, or resume doing so.

    Parameters
    ----------
    settings : DownloadSettings
        What to download.
    locations : LocationTable
        Where.
    out : str
        Folder or fsspec URL of the data set.
    cluster : ClusterSettings
        How the work is spread.
    on_progress : callable
        Called with the current progress after every location, and once a second meanwhile.

    Returns
    -------
    DownloadProgress
        The final state.

    Raises
    ------
    InputError
        When `out` holds something else or the scheduler does not answer.
    RefusedError
        When the service refuses the user; everything finished is kept.
    """
    from caco_data.download.cluster import connect  # imports Dask, which takes a second

    if settings.fill and not locations.metadata:
        raise InputError(
            "Only locations of 'caco-data sample' can be drawn further", "--fill", "Leave it out"
        )
    if not cluster.scheduler:  # else its workers have the credentials
        _try_to_open(settings, cluster)
    storage = open_storage(out)
    wanted = len(locations.location_id)
    workspace = Workspace(
        storage,
        _describe(settings, locations),
        locations.location_id.tolist(),
        settings.locations_per_shard,
    )
    if workspace.finished:
        counts = read_description(storage)["counts"]
        return DownloadProgress(wanted, counts["complete"], Counter(counts["rejected"]))
    progress = DownloadProgress(
        wanted, len(workspace.complete), Counter(workspace.rejected.values())
    )
    began = time.monotonic()
    with ExitStack() as stack:
        workers = None
        while True:
            remaining = _pending(locations, workspace)
            progress.pending = len(remaining)
            on_progress(progress)
            if remaining:
                workers = workers or stack.enter_context(
                    connect(cluster, settings.source, settings.fetch)
                )
                with _Keeper(workspace, cluster.concurrency) as keeper:
                    for outcome in workers.outcomes(remaining):
                        if outcome is not None:
                            keeper.keep(outcome)
                            progress.settle(outcome)
                        progress.update(workers.statuses.values())
                        progress.elapsed_s = time.monotonic() - began
                        on_progress(progress)
            missing = wanted - len(workspace.complete)
            if not settings.fill or missing <= 0 or not workspace.complete:
                break
            locations = extend(locations.metadata, len(locations.location_id) + missing)
            workspace.extend(locations.location_id.tolist())
    workspace.finish(geoparquet_table(locations))
    return progress


def _pending(locations: LocationTable, workspace: Workspace) -> list[Location]:
    pending = set(workspace.pending)
    rows = zip(
        locations.location_id.tolist(),
        locations.longitude.tolist(),
        locations.latitude.tolist(),
        locations.utm_epsg.tolist(),
        strict=True,
    )
    return [Location(*row) for row in rows if row[0] in pending]
