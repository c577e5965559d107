"""Export of a data set in other layouts, location by location, resumable."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

from caco_data import __version__
from caco_data.dataset.reader import Dataset
from caco_data.errors import InputError
from caco_data.exchange.croissant import croissant_metadata
from caco_data.exchange.geotiff import export_caco, export_geotiff
from caco_data.exchange.selection import Selection, select
from caco_data.exchange.vrt import check_vrt, export_vrt
from caco_data.exchange.zarr_store import export_zarr, open_group
from caco_data.settings_diff import difference
from caco_data.storage import LocalStorage, read_json, write_json

Format = Literal["geotiff", "vrt", "zarr", "stac", "caco", "croissant"]
#: Description of an export.
EXPORT = "export.json"
CROISSANT = "croissant.json"
#: Called with the locations done and their number.
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class ExportSettings:
    """What to export, and how."""

    format: Format
    selection: Selection = field(default_factory=Selection)
    workers: int = 4
    """Threads; GDAL and zarr compress outside Python's lock."""


def export_dataset(
    dataset: Dataset, out: str, settings: ExportSettings, progress: Progress = lambda *_: None
) -> int:
    """Export locations of a data set.

    Locations that an earlier call has exported are skipped: each appears in the folder only once it
    is complete.

    Parameters
    ----------
    dataset : Dataset
        The data set.
    out : str
        Folder of the export.
    settings : ExportSettings
        Format and selection.
    progress : callable
        Called with the locations done and their number.

    Returns
    -------
    int
        Number of locations in the export.

    Raises
    ------
    InputError
        When the selection is invalid or the folder contains something else.
    DatasetError
        When the data set is damaged.
    """
    ids = select(dataset, settings.selection).tolist()
    if settings.format == "vrt":
        check_vrt(dataset)
    _reserve(dataset, out, settings)
    if settings.format == "croissant":
        write_json(LocalStorage(out), CROISSANT, croissant_metadata(dataset))
        return len(ids)
    if settings.format == "zarr":
        open_group(out)
    write = {
        "geotiff": export_geotiff, "stac": export_geotiff, "caco": export_caco, "vrt": export_vrt,
        "zarr": export_zarr,
    }[settings.format]  # fmt: skip
    with ThreadPoolExecutor(settings.workers) as pool:
        jobs = pool.map(partial(write, dataset, Path(out)), ids)
        try:
            for done, _ in enumerate(jobs, start=1):
                progress(done, len(ids))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    if settings.format == "stac":
        from caco_data.exchange.stac import write_catalog

        write_catalog(dataset, Path(out), ids)
    return len(ids)


def _reserve(dataset: Dataset, out: str, settings: ExportSettings) -> None:
    """Describe the export in its folder; refuse a folder with other content."""
    storage = LocalStorage(out)
    wanted: dict[str, Any] = {
        "format": settings.format,
        "dataset": os.path.abspath(dataset.root) if settings.format == "vrt" else None,
        "data_digest": dataset.digest,
        "bands": list(dataset.bands),
        "software": f"caco-data {__version__}",
    }
    if not storage.exists(EXPORT):
        if Path(out).exists() and any(Path(out).iterdir()):
            raise InputError(
                "The folder contains files but no export", out, "Choose an empty folder"
            )
        write_json(storage, EXPORT, {**wanted, "selection": asdict(settings.selection)})
        return
    found = read_json(storage, EXPORT)
    keys = ("format", "data_digest")
    if lines := list(difference({k: found.get(k) for k in keys}, {k: wanted[k] for k in keys})):
        raise InputError(
            f"The folder contains another export: {'; '.join(lines)}", out, "Choose another folder"
        )
