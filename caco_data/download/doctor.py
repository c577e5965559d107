"""Checks of this machine, its credentials and its network before a download.

Each check takes at most a few seconds; none prints a secret.
"""

from __future__ import annotations

import os
import platform
import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

from caco_data.download.doctor_checks import DAY, PLACE, TIMEOUT_S, Check, endpoint, guarded
from caco_data.download.doctor_stac import check_stac
from caco_data.download.estimate import tile_nbytes
from caco_data.download.plan import usable
from caco_data.download.settings import FetchSettings, SceneSettings
from caco_data.errors import CacoDataError
from caco_data.grid import grid_footprint, patch_grid
from caco_data.sentinel2 import RGB_BANDS, SCL_BAND
from caco_data.sources.base import SourceSettings
from caco_data.sources.earthengine.credentials import FoundCredentials, find_project
from caco_data.sources.earthengine.settings import EarthEngineSettings
from caco_data.sources.stac.settings import StacSettings

#: Warn when the free disk space is not enough for this many RGB locations.
FEW_LOCATIONS = 1000


def check(settings: SourceSettings, out: str) -> Iterator[Check]:
    """Check the requirements of a download and of training.

    Parameters
    ----------
    settings : SourceSettings
        Settings of the source.
    out : str
        Folder or URL of the data set.

    Yields
    ------
    Check
        Each as soon as it is done.
    """
    yield _python()
    yield _packages()
    yield _gdal()
    yield _training()
    yield _disk(out)
    yield _writable(out)
    if isinstance(settings, EarthEngineSettings):
        yield from _check_earthengine(settings)
    if isinstance(settings, StacSettings):
        yield from check_stac(settings)


def _check_earthengine(settings: EarthEngineSettings) -> Iterator[Check]:
    result, credentials = guarded("credentials", lambda: _credentials(settings))
    yield result
    yield _project(settings, credentials)
    reachable = endpoint("endpoint", settings.url)
    yield reachable
    if credentials is None or reachable.state == "fail":
        yield Check("Earth Engine", "warn", "not checked", "Fix the failed checks above")
    else:
        yield guarded("Earth Engine", lambda: (_request(settings), None))[0]


def _python() -> Check:
    found = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    return Check("Python", "ok", found)


def _packages() -> Check:
    """Compare the installed packages with the requirements of caco-data."""
    wrong = []
    required = [Requirement(text) for text in metadata.requires("caco-data") or ()]
    needed = [r for r in required if r.marker is None or r.marker.evaluate({"extra": ""})]
    for requirement in needed:
        try:
            version = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            wrong.append(f"{requirement.name} is missing")
            continue
        if not requirement.specifier.contains(version, prereleases=True):
            wrong.append(f"{requirement.name} {version} is not {requirement.specifier}")
    if wrong:
        return Check("packages", "fail", "; ".join(wrong), "Run 'pip install -U caco-data'")
    client = metadata.version("earthengine-api")
    return Check("packages", "ok", f"{len(needed)} as required, earthengine-api {client}")


def _gdal() -> Check:
    """Check that GDAL and PROJ find their data: PROJ_DATA or PROJ_LIB is often set wrongly."""
    try:
        import rasterio
        from rasterio.warp import transform

        (east,), (north,) = transform("EPSG:4326", "EPSG:32631", [3.0], [45.0])
    except Exception as error:  # any error of these libraries is the result of the check
        return Check(
            "GDAL", "fail", f"{type(error).__name__}: {error}"[:200],
            "Unset PROJ_DATA, PROJ_LIB and GDAL_DATA, or reinstall rasterio",
        )  # fmt: skip
    # 3 E is the central meridian of zone 31; 45 N is 4,982,950 m from the equator.
    if abs(east - 500_000) > 1 or abs(north - 4_982_950) > 100:
        return Check(
            "GDAL", "fail", "PROJ returns wrong coordinates", "Unset PROJ_DATA and PROJ_LIB"
        )
    return Check("GDAL", "ok", f"{rasterio.__gdal_version__}, rasterio {rasterio.__version__}")


def _training() -> Check:
    try:
        version = metadata.version("torch")
    except metadata.PackageNotFoundError:
        return Check(
            "training",
            "warn",
            "torch is not installed",
            "Run 'pip install caco-data[train]' to train",
        )
    return Check("training", "ok", f"torch {version}")


def _existing(out: str) -> Path:
    """Return the path, or its first ancestor that exists."""
    path = Path(out).absolute()
    while not path.exists():
        path = path.parent
    return path


def _disk(out: str) -> Check:
    if "://" in out:
        return Check("disk space", "ok", f"{out} is not on this machine")
    free = shutil.disk_usage(_existing(out)).free
    fit = free // (10 * tile_nbytes(FetchSettings(SceneSettings(), RGB_BANDS)))
    found = f"{free / 1e9:,.1f} GB free, enough for {fit:,} RGB locations"
    if fit < FEW_LOCATIONS:
        return Check("disk space", "warn", found, "Free disk space, or choose another --out")
    return Check("disk space", "ok", found)


def _writable(out: str) -> Check:
    if "://" in out:
        return Check("output", "ok", f"{out}, not checked")
    path = _existing(out)
    if not path.is_dir() or not os.access(path, os.W_OK):
        return Check("output", "fail", f"{path} cannot be written", "Choose another --out")
    return Check("output", "ok", f"{path} can be written")


def _credentials(settings: EarthEngineSettings) -> tuple[Check, FoundCredentials]:
    found = replace(settings, deadline_s=TIMEOUT_S).find_credentials()
    where = f" ({found.where})" if found.where else ""
    return Check("credentials", "ok", f"{found.kind}{where}"), found


def _project(settings: EarthEngineSettings, found: FoundCredentials | None) -> Check:
    if found is None:
        if settings.project:
            return Check("project", "ok", settings.project)
        return Check("project", "warn", "not set", "Pass --project or set EARTHENGINE_PROJECT")
    try:
        project = find_project(settings.project, found)
        return Check("project", "ok", f"{project.id} ({project.origin})")
    except CacoDataError as error:
        return Check("project", "fail", error.what, error.remedy)


def _request(settings: EarthEngineSettings) -> Check:
    """List scenes and read 6 x 6 pixels of one."""
    source = replace(settings, deadline_s=TIMEOUT_S * 2).open()
    began = time.monotonic()
    grid = patch_grid(PLACE)
    scenes = source.list_scenes(grid_footprint(grid), DAY, DAY + timedelta(days=30))
    readable = usable(scenes, grid, SceneSettings(max_cloud_pct=100))
    if not readable:
        return Check("Earth Engine", "fail", "listed no scenes", "Check --ee-url")
    few = replace(grid, width_px=6, height_px=6)
    types = source.pixel_types(readable[0], few, (*RGB_BANDS, SCL_BAND))
    found = (
        f"listed {len(scenes)} scenes and read 6 x 6 pixels in {time.monotonic() - began:.1f} s: "
        f"{', '.join(f'{band} {dtype}' for band, dtype in types.items())}"
    )
    return Check("Earth Engine", "ok", found)
