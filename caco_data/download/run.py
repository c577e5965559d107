"""A download: from locations to a finished data set."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict
from datetime import date
from functools import partial
from typing import Any, Literal

from caco_data.dataset.description import read_description
from caco_data.dataset.layout import layout_record
from caco_data.dataset.ledger import Ledger
from caco_data.dataset.writer import DatasetWriter
from caco_data.download.fetcher import Fetcher, start_fetcher
from caco_data.download.probe import MAX_LISTED
from caco_data.download.progress import DownloadProgress, Stage
from caco_data.download.replacements import Replacements
from caco_data.download.settings import (
    ClusterSettings,
    DownloadSettings,
    FetchSettings,
    SceneSettings,
)
from caco_data.errors import InputError
from caco_data.folder_lock import folder_lock
from caco_data.sampling.location_files import geoparquet_table
from caco_data.sampling.locations import LocationTable, is_sampled
from caco_data.settings_fields import option_names
from caco_data.storage import Storage, open_storage


def describe(settings: DownloadSettings, locations: LocationTable) -> dict[str, Any]:
    """Constant part of dataset.json: all settings that affect the bytes of the data set."""
    points = hashlib.sha256()
    for array in (locations.location_id, locations.longitude, locations.latitude):
        points.update(array.tobytes())
    if settings.fetch.scenes.table_dates and locations.dates is not None:
        points.update(locations.dates.tobytes())
    fetch = asdict(settings.fetch)
    scenes = _scenes(fetch.pop("scenes"))
    del fetch["patch_px"]  # in the layout
    return {
        "source": {
            "name": settings.source.name,
            "collection": settings.source.collection,
            **settings.source.record(),
        },
        "settings": {
            **fetch,
            **layout_record(settings.fetch.layout),
            "scenes": scenes,
            "locations_per_shard": settings.locations_per_shard,
            "fill": settings.fill,
            "locations": len(locations.location_id),
            "locations_sha256": points.hexdigest(),
        },
    }


#: Settings that data sets of earlier versions do not have: they are recorded when they differ from
#: the default. `layout_record` has the number of periods and of tiles.
_LATER = ("period_months", "months", "dates", "table_dates", "tolerance_days", "before_after")


def _scenes(values: dict[str, Any]) -> dict[str, Any]:
    """Settings of the scenes as JSON values."""
    default = asdict(SceneSettings())
    record: dict[str, Any] = {}
    for name, value in values.items():
        if name in ("periods", "tiles_per_period"):
            continue
        if name in _LATER and value == default[name]:
            continue
        record[name] = _json(value)
    return record


def _json(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_json(one) for one in value]
    return str(value) if isinstance(value, date) else value


def _option_names(settings: DownloadSettings) -> dict[str, str]:
    """Names of the settings in dataset.json for users of the command."""
    own = option_names(SceneSettings, FetchSettings, DownloadSettings, type(settings.source))
    return own | {
        "first_start": "--start from",
        "last_start": "--start to",
        "name": "--source",
        "locations": "number of locations",
        "tiles": "periods and --tiles-per-period",
        "months": "--months",
        "dates": "--dates",
        "table_dates": "--dates table",
    }


def _ledger(
    settings: DownloadSettings,
    locations: LocationTable,
    storage: Storage,
    on_read: Callable[[int, int], None] = lambda done, count: None,
) -> Ledger:
    return Ledger(
        storage,
        describe(settings, locations),
        locations.location_id,
        shorter=lambda n: describe(settings, locations.head(n)),
        on_read=on_read,
        names=_option_names(settings),
    )


def count_pending(settings: DownloadSettings, locations: LocationTable, out: str) -> int:
    """Number of locations that `download` would fetch, without replacements; only reads.

    Raises
    ------
    InputError
        As `download`, when the folder contains other files or a data set with other settings.
    """
    ledger = _ledger(settings, locations, open_storage(out))
    return 0 if ledger.finished else int(ledger.pending.size)


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
    settings.fetch.check()
    storage = open_storage(out)
    wanted = len(locations)
    replacements = Replacements(locations)
    with folder_lock(storage, "caco-data download") as lock, ExitStack() as stack:
        progress = DownloadProgress(wanted, 0, Counter())

        def stage(name: Literal["resuming", "finishing"], done: int, count: int) -> None:
            progress.stage = Stage(name, done, count)
            on_progress(progress)

        ledger = _ledger(settings, locations, storage, partial(stage, "resuming"))
        if ledger.finished:
            ledger.reserve()
            counts = read_description(storage)["counts"]
            rejected = Counter(counts["rejected"])
            return DownloadProgress(wanted, counts["complete"], rejected, finished=True)
        fetcher: Fetcher | None = None
        while True:
            pending = ledger.pending
            progress.done, progress.rejected = ledger.complete.size, ledger.rejections
            progress.pending, progress.stage = pending.size, None
            on_progress(progress)
            if pending.size:
                if fetcher is None:
                    first, complete = pending[:MAX_LISTED], ledger.complete[:1]
                    trial = list(locations.rows(first)), list(locations.rows(complete))
                    fetcher = start_fetcher(
                        stack, settings, cluster, ledger, lock, trial, progress, on_progress
                    )
                settled = fetcher.fetch(locations.rows(pending))
                if progress.failed and settled:
                    continue
                if progress.failed and not reject_failing:
                    return progress
                fetcher.reject_failed()
            complete_count = ledger.complete.size
            missing = wanted - complete_count
            if not settings.fill or missing <= 0 or not complete_count:
                break
            more = replacements.extended(len(locations) + missing)
            if more is None:
                break
            locations = more
            ledger.extend(locations.location_id)
        if complete_count:
            writer = DatasetWriter(storage, ledger, lock.check)
            writer.finish(geoparquet_table(locations), partial(stage, "finishing"))
            progress.stage, progress.finished = None, True
        return progress
