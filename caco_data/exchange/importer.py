"""Import of released data sets in the layout LOCATION/SCENE/B4.tif."""

from __future__ import annotations

import io
import itertools
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from caco_data.dataset.layout import NO_MASK
from caco_data.dataset.ledger import Ledger
from caco_data.dataset.shards import Record, encode, write_shard
from caco_data.dataset.writer import DatasetWriter
from caco_data.errors import InputError
from caco_data.exchange.scene_folders import (
    Layout,
    LocationError,
    SceneFolder,
    ScenePixels,
    choose_scenes,
    list_locations,
    list_scenes,
    read_scene,
)
from caco_data.folder_lock import folder_lock
from caco_data.sentinel2 import RGB_BANDS
from caco_data.storage import open_storage
from caco_data.types import (
    PATCH_PX,
    PERIODS,
    Footprint,
    Grid,
    Location,
    LocationStacks,
    Outcome,
    Rejection,
    RejectionReason,
    Scene,
    Stack,
    Tile,
)

#: Scene class of pixels without a classification.
_UNCLASSIFIED = 7
Progress = Callable[[int, int, int], None]


@dataclass(frozen=True)
class ImportSettings:
    """What to import."""

    layout: Layout
    bands: tuple[str, ...] = RGB_BANDS
    locations_per_shard: int = 128
    workers: int = 4
    """Reader threads; GDAL decodes outside Python's lock."""


def import_folder(
    root: str, out: str, settings: ImportSettings, progress: Progress = lambda *_: None
) -> tuple[int, int]:
    """Import a folder of locations as a data set, or resume an earlier import.

    Parameters
    ----------
    root : str
        Folder with one folder per location.
    out : str
        Folder or URL of the data set.
    settings : ImportSettings
        Layout and bands.
    progress : callable
        Called with the numbers of complete, of rejected and of all locations.

    Returns
    -------
    complete, rejected : int
        Numbers of locations. `rejected.parquet` has the reasons.

    Raises
    ------
    InputError
        When there are no locations or none is complete, or `out` contains something else.
    """
    if not Path(root).is_dir():
        raise InputError("No folder here", root, "Use the folder with one folder per location")
    folders = list_locations(Path(root))
    if not folders:
        raise InputError("No folders of locations", root, "Use a folder LOCATION/SCENE/B4.tif")
    dtype = _dtype(folders, settings)
    storage = open_storage(out)
    with folder_lock(storage, "caco-data import") as lock:
        ids = list(range(len(folders)))
        ledger = Ledger(storage, _description(settings, dtype, len(folders)), ids)
        if not ledger.finished:
            writer = DatasetWriter(storage, ledger, lock.check)
            pending = ledger.pending.tolist()
            complete, rejected = ledger.complete.size, ledger.rejections.total()
            read = partial(_import_location, settings=settings, dtype=dtype)
            jobs = ((i, folders[i]) for i in pending)
            with ThreadPoolExecutor(settings.workers) as pool:
                for outcome in _in_order(pool, read, jobs, 2 * settings.workers):
                    writer.add(outcome)
                    complete += outcome.part is not None
                    rejected += outcome.part is None
                    progress(complete, rejected, len(ids))
            if not complete:
                raise InputError(
                    f"None of the {len(ids)} locations can be imported: {_first_reason(storage)}",
                    root, f"Check the files, or --format and --bands; delete {out}",
                )  # fmt: skip
            writer.finish(_locations(folders))
        return ledger.complete.size, ledger.rejections.total()


def _first_reason(storage: Any) -> str:
    from caco_data.dataset.work_folder import rejection_file
    from caco_data.storage import read_json

    for i in itertools.count():
        if storage.exists(rejection_file(i)):
            return str(read_json(storage, rejection_file(i))["detail"])
        if i > 1000:
            return "see rejected locations"
    raise AssertionError


def _in_order(
    pool: ThreadPoolExecutor,
    read: Callable[..., Outcome],
    jobs: Iterator[tuple[int, Path]],
    ahead: int,
) -> Iterator[Outcome]:
    """Results in the order of the jobs; only a few jobs are read ahead."""
    queue: list[Future[Outcome]] = []
    for job in jobs:
        queue.append(pool.submit(read, *job))
        if len(queue) >= ahead:
            yield queue.pop(0).result()
    for future in queue:
        yield future.result()


def _description(settings: ImportSettings, dtype: str, locations: int) -> dict[str, Any]:
    both = "late is a copy of early: the layout has one period"
    return {
        "source": {"name": "import", "collection": f"layout of {settings.layout}"},
        "settings": {
            "bands": list(settings.bands),
            "dtype": dtype,
            "compress": "none",
            "locations_per_shard": settings.locations_per_shard,
            "locations": locations,
            **({"periods": both} if settings.layout == "seco" else {}),
        },
    }


def _dtype(folders: Sequence[Path], settings: ImportSettings) -> str:
    """Type of the first readable scene."""
    fault = LocationError("no scenes")
    for folder in folders:
        try:
            scene = list_scenes(folder)[0]
            return str(read_scene(scene.path, settings.bands).pixels.dtype)
        except (LocationError, IndexError) as error:
            fault = error if isinstance(error, LocationError) else fault
    raise InputError(
        f"No readable scene: {fault}", str(folders[0].parent), "Check --bands and the layout"
    )


def _import_location(
    location_id: int, folder: Path, settings: ImportSettings, dtype: str
) -> Outcome:
    """Read a location as a shard of its own, or reject it with the reason."""
    try:
        chosen = choose_scenes(list_scenes(folder), settings.layout)
        pixels = [[_read(scene, settings.bands, dtype) for scene in scenes] for scenes in chosen]
    except LocationError as fault:
        reason: RejectionReason = "too few scenes" if fault.incomplete else "unreadable scenes"
        detail = f"{folder.name}: {fault}"
        return Outcome(location_id, rejection=Rejection(location_id, reason, detail))
    buffer = io.BytesIO()
    write_shard(buffer, "", [_record(location_id, settings.bands, chosen, pixels)])
    return Outcome(location_id, part=buffer.getvalue())


def _read(scene: SceneFolder, bands: Sequence[str], dtype: str) -> ScenePixels:
    found = read_scene(scene.path, bands)
    if found.pixels.dtype != dtype:
        raise LocationError(f"{scene.path.name} has the type {found.pixels.dtype}, not {dtype}")
    return found


def _record(
    location_id: int,
    bands: tuple[str, ...],
    chosen: Sequence[Sequence[SceneFolder]],
    pixels: Sequence[Sequence[ScenePixels]],
) -> Record:
    """Encode a location; its rows have the dates and the positions of the files."""
    scl = np.full((PATCH_PX // 2, PATCH_PX // 2), _UNCLASSIFIED, dtype=np.uint8)
    stacks = []
    for period, scenes, found in zip(PERIODS, chosen, pixels, strict=True):
        tiles = (
            Tile(_scene(scene), one.pixels, scl, 0.0, NO_MASK)
            for scene, one in zip(scenes, found, strict=True)
        )
        stacks.append(Stack(period, tuple(tiles)))
    grid = Grid(32631, 0, 0)  # replaced below
    location = Location(location_id, 0.0, 0.0, 32631)
    # `uint16` leaves the pixels as they are, which may be 8-bit already.
    record = encode(LocationStacks(location, grid, bands, tuple(stacks)), "uint16", "none")
    flat = [(s, p) for scenes, found in zip(chosen, pixels, strict=True)
            for s, p in zip(scenes, found, strict=True)]  # fmt: skip
    rows = tuple(
        row | {
            "cloud_pct": scene.cloud_pct, "clear_fraction": None, "crs": one.crs,
            "affine": None if one.transform is None else list(one.transform),
        }
        for row, (scene, one) in zip(record.rows, flat, strict=True)
    )  # fmt: skip
    return replace(record, rows=rows)


def _scene(scene: SceneFolder) -> Scene:
    return Scene(scene.path.name, scene.acquired, 0.0, 0, Footprint((), ()), "")


def _locations(folders: Sequence[Path]) -> pa.Table:
    """Locations table: ids, and the names of the folders."""
    return pa.table(
        {
            "location_id": pa.array(range(len(folders)), pa.int64()),
            "folder": [folder.name for folder in folders],
        }
    )
