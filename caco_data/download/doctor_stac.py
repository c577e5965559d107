"""Checks of a STAC API and its files: the API, the header of one file, one block of it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import numpy as np

from caco_data.download.doctor_checks import DAY, PLACE, TIMEOUT_S, Check, endpoint, guarded
from caco_data.download.plan import usable
from caco_data.download.settings import SceneSettings
from caco_data.errors import CacoDataError
from caco_data.grid import grid_footprint, patch_grid
from caco_data.sentinel2 import SCL_BAND
from caco_data.sources.stac.settings import StacSettings
from caco_data.sources.stac.source import StacSource
from caco_data.types import Scene

#: Period whose scenes are listed.
_PERIOD = timedelta(days=30)


def check_stac(settings: StacSettings) -> Iterator[Check]:
    """Check the connection, the API, the header of one file and one block.

    Yields
    ------
    Check
        Each as soon as it is done; those that need a failed one are not done.
    """
    listing = "catalog" if settings.catalog else "STAC API"
    files = ("file header", "file block")
    try:
        url = settings.preset.url
    except CacoDataError as error:
        yield Check(listing, "fail", f"{error.what} ({error.where})", error.remedy)
        yield from _not_checked(files)
        return
    if not settings.catalog:
        reachable = endpoint("endpoint", url)
        yield reachable
        if reachable.state == "fail":
            yield from _not_checked((listing, *files))
            return
    result, found = guarded(listing, lambda: _listing(settings, listing))
    yield result
    if found is None:
        yield from _not_checked(files)
        return
    source, scene = found
    if scene is None:
        for name in files:
            yield Check(name, "warn", "not checked: no scene here", "Use a catalogue with Toulouse")
        return
    header, read = guarded("file header", lambda: _header(source, scene))
    yield header
    if not read:
        yield from _not_checked(files[1:])
        return
    yield guarded("file block", lambda: (_block(source, scene), None))[0]


def _not_checked(names: tuple[str, ...]) -> Iterator[Check]:
    for name in names:
        yield Check(name, "warn", "not checked", "Fix the failed checks above")


def _listing(
    settings: StacSettings, name: str
) -> tuple[Check, tuple[StacSource, Scene | None] | None]:
    """List the scenes of a month; return the source and the clearest scene."""
    began = time.monotonic()
    source = replace(settings, deadline_s=min(settings.deadline_s, 2 * TIMEOUT_S)).open()
    grid = patch_grid(PLACE)
    scenes = source.list_scenes(grid_footprint(grid), DAY, DAY + _PERIOD)
    readable = usable(scenes, grid, SceneSettings(max_cloud_pct=100))
    collections = ", ".join(settings.preset.collections)
    found = f"{len(scenes)} scenes of {DAY:%B %Y} near Toulouse in {time.monotonic() - began:.1f} s"
    if readable:
        return Check(name, "ok", f"{found}, {collections}"), (source, readable[0])
    if settings.catalog:
        return Check(name, "ok", found), (source, None)
    remedy = "Check --stac-url and --collection"
    return Check(name, "fail", f"listed no usable scenes of {collections}", remedy), None


def _header(source: StacSource, scene: Scene) -> tuple[Check, bool]:
    began = time.monotonic()
    about = source.describe_file(scene, SCL_BAND)
    where = dict(scene.files)[SCL_BAND]
    took = f"{time.monotonic() - began:.1f} s"
    return Check("file header", "ok", f"{about} in {took}, {where}"), True


def _block(source: StacSource, scene: Scene) -> Check:
    """Read 6 x 6 pixels of 10 m, for which one block is fetched."""
    began = time.monotonic()
    few = replace(patch_grid(PLACE), width_px=6, height_px=6)
    classes = np.unique(source.read_scene_classes(scene, few)).tolist()
    offset = "unknown" if scene.offset_dn is None else f"{scene.offset_dn:,} DN"
    found = f"scene classes {', '.join(map(str, classes))} in {time.monotonic() - began:.1f} s"
    return Check("file block", "ok", f"{found}; offset of the scene: {offset}")
