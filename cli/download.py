"""`caco-data download`: download of multi-year, cloud-filtered image stacks."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING, Any

import click

from caco_data.download.presets import PRESETS
from caco_data.download.settings import (
    FIRST_START,
    LAST_START,
    MISSION_START,
    QUOTA_PER_SECOND,
    ClusterSettings,
    DownloadSettings,
    FetchSettings,
    SceneSettings,
)
from caco_data.errors import CacoDataError, IncompleteError, InputError, InterruptedRunError
from caco_data.sources.base import SourceSettings
from caco_data.sources.earthengine.settings import EarthEngineSettings
from caco_data.sources.retry import RetryPolicy
from caco_data.sources.simulated.settings import SimulatedSettings
from caco_data.sources.stac.settings import StacSettings

from .options import GroupedCommand, check_place, is_default, is_quiet, options_of, settings_from
from .output import echo
from .progress import DownloadDisplay
from .render import download_result, estimate_line, estimate_table, plural
from .types import COUNT, DateRange, Dates, Months

if TYPE_CHECKING:
    from caco_data.download.progress import DownloadProgress
    from caco_data.sampling.locations import LocationTable

#: Settings of each archive, by the value of `--source`.
SOURCES: dict[str, type[SourceSettings]] = {
    "earthengine": EarthEngineSettings,
    "stac": StacSettings,
    "simulated": SimulatedSettings,
}
#: Requests above which the estimate is printed before the download.
MANY_REQUESTS = 10_000


@click.command(
    "download",
    cls=GroupedCommand,
    headings={
        "project": "Earth Engine",
        "stac_url": "STAC API",
        "archive_seed": "Simulated archive",
        "preset": "Periods",
        "max_cloud": "Scene selection",
        "bands": "Content of the data set",
        "concurrency": "Requests and workers",
        "min_complete": "Other options",
    },
)
@click.option(
    "--locations",
    default="locations.parquet",
    show_default=True,
    metavar="FILE",
    help="Table of locations from 'caco-data sample', or any file of points.",
)
@click.option(
    "--limit",
    type=COUNT,
    help="Download only the first rows of the table; the same command without it, or with a larger "
    "one, adds the others.",
)
@click.option(
    "--out",
    default="dataset",
    show_default=True,
    metavar="FOLDER",
    callback=check_place,
    help="Folder of the data set, or an fsspec URL (s3://, gs://, file://).",
)
@click.option(
    "--source",
    type=click.Choice(list(SOURCES)),
    default="earthengine",
    show_default=True,
    help="Image archive; 'stac' requires no account, 'simulated' neither account nor network.",
)
@options_of(EarthEngineSettings, StacSettings, SimulatedSettings)
@click.option(
    "--preset",
    type=click.Choice(list(PRESETS)),
    default="caco",
    show_default=True,
    help="Time design; other options take precedence. "
    + "; ".join(f"{name}: {preset.summary}" for name, preset in PRESETS.items())
    + ".",
)
@click.option(
    "--start",
    type=DateRange(),
    default=f"{FIRST_START}..{LAST_START}",
    show_default=True,
    help="Range of start dates of the first period; each location gets a random one.",
)
@click.option(
    "--dates",
    type=Dates(),
    default=(),
    metavar="DATE,...|table",
    help="One period around each date, instead of random ones; 'table': the dates of each location "
    "in the column 'date' of its table, or its period in 'start' and 'end'.",
)
@click.option(
    "--months",
    type=Months(),
    metavar="FIRST-LAST",
    help="Only scenes of these months, 4-10; 11-2 is from November to February.",
)
@options_of(SceneSettings, FetchSettings, DownloadSettings, ClusterSettings, RetryPolicy)
@click.option(
    "--min-complete",
    type=click.FloatRange(0, 1),
    default=0.95,
    show_default=True,
    metavar="FLOAT",
    help="Exit with code 3 if a smaller fraction of the locations is complete.",
)
@click.option(
    "--dry-run",
    is_flag=True,
    help="Print the estimated requests, bytes and hours; send no request, write nothing.",
)
@click.option(
    "--reject-failing",
    is_flag=True,
    help="Reject locations whose requests still fail at the end although others succeed, instead "
    "of leaving them pending.",
)
@click.option("--json-log", is_flag=True, help="Report progress as JSON lines on stderr.")
@click.pass_context
def command(
    ctx: click.Context, /, locations: str, limit: int | None, out: str, min_complete: float,
    dry_run: bool, reject_failing: bool, json_log: bool, **values: Any,
) -> None:  # fmt: skip
    """Download the image stacks of locations into shards.

    The download can be interrupted at any time: the same command resumes it, with the same result,
    byte for byte. With a longer table that begins with the locations of the data set, it adds the
    others.

    \b
    caco-data download --project my-project
    caco-data download --project my-project --bands all --locations mine.geojson --out mine
    caco-data download --source simulated
    """
    from caco_data.download.estimate import estimate
    from caco_data.download.run import count_pending, download
    from caco_data.sampling.location_dates import has_dates, with_dates
    from caco_data.sampling.location_files import read_locations

    table = read_locations(locations)
    if values["dates"] == "table":
        table = with_dates(table)
    elif not values["dates"] and has_dates(table):
        echo("note: --dates table uses the dates of the locations", err=True)
    if limit is not None:
        table = table.head(limit)
    settings, cluster = _settings(ctx, table, values)
    if dry_run:
        pending = count_pending(settings, table, out)
        if pending:
            echo(*estimate_table(estimate(pending, settings, cluster)).split("\n"))
        if done := len(table) - pending:
            echo(
                f"{plural(done, 'location')} already in {out}"
                + ", not counted above" * bool(pending)
            )
        return
    expected = estimate(len(table), settings, cluster)
    if settings.source.name != "simulated" and expected.requests > MANY_REQUESTS:
        echo(estimate_line(expected), err=True)
    display = DownloadDisplay(json_log, is_quiet(ctx))
    result: DownloadProgress | None = None
    try:
        result = download(settings, table, out, cluster, display, reject_failing)
    except KeyboardInterrupt:
        kept = "finished locations are kept" if _is_begun(out) else "nothing was written"
        raise InterruptedRunError(
            f"Interrupted; {kept}", out, "Run the same command again to resume"
        ) from None
    except BrokenPipeError:
        raise
    except OSError as error:
        raise InputError(
            f"{error.strerror or error}", str(error.filename or out),
            "Free disk space or restore the permissions, then run the same command again: finished "
            "locations are kept",
        ) from error  # fmt: skip
    finally:
        display.close(result)
    echo(download_result(result), err=True)
    if incomplete := _incomplete(result, out, min_complete):
        raise incomplete
    echo(out)


def _is_begun(out: str) -> bool:
    """Whether there is a data set; also if this cannot be found out."""
    from caco_data.dataset.layout import DESCRIPTION
    from caco_data.storage import open_storage

    try:
        return open_storage(out).exists(DESCRIPTION)
    except (CacoDataError, OSError):
        return True


def _remedy(rejected: Mapping[str, int]) -> str:
    """Remedy for the most frequent reason of rejections."""
    reason = max(rejected, key=lambda reason: rejected[reason], default="")
    if reason == "too cloudy":
        return "Use a higher --max-cloud or a lower --min-clear with another --out"
    if reason == "too few scenes":
        return "Check --start and --gap-years, or use a higher --max-cloud, with another --out"
    return "Use other locations, or other dates (--start) with another --out"


def _incomplete(result: DownloadProgress, out: str, min_complete: float) -> CacoDataError | None:
    """Return the error of a data set that is unfinished or has too few complete locations."""
    if result.failed:
        location_id, failure = next(iter(sorted(result.failed.items())))
        return IncompleteError(
            f"{len(result.failed)} of {result.wanted} locations are still to be fetched: their "
            f"requests failed although others succeeded, for location {location_id} with: "
            f"{failure.rstrip('.')}",
            out,
            "Run the same command again later, or add --reject-failing to do without them",
        )
    few = result.done < min_complete * result.wanted
    if result.finished and not few:
        return None
    enough = f"fewer than {min_complete:.0%}" if result.done else "so that there is no data set"
    return IncompleteError(
        f"{result.done} of {result.wanted} locations are complete, {enough}",
        out,
        _remedy(result.rejected),
    )


def _check_dates(source: str, scenes: SceneSettings, table: LocationTable) -> None:
    """Refuse dates without images before any request."""
    from caco_data.download.periods import span
    from caco_data.sampling.location_dates import extremes

    dates = [] if table.dates is None else extremes(table.dates)
    given = ",".join(map(str, scenes.dates)) if scenes.dates else "table" * scenes.table_dates
    option = f"--start {scenes.first_start}..{scenes.last_start}"
    if scenes.periods > 1:
        option += f" --gap-years {scenes.gap_years:g}"
    where, remedy = (
        (f"--dates {given}", "Use other dates or fewer --tolerance-days")
        if given
        else (option, "Use an earlier --start or fewer --gap-years")
    )
    first, end = span(scenes, dates)
    if first < MISSION_START:
        raise InputError(
            f"Sentinel-2 has no images before {MISSION_START}",
            where if given else f"--start {scenes.first_start}",
            f"Surface reflectance is global from {FIRST_START}",
        )
    if source != "simulated" and end > date.today():
        raise InputError(f"The last period ends in {end.year}, after today", where, remedy)


def _scenes(ctx: click.Context, values: dict[str, Any]) -> SceneSettings:
    """Settings of the scenes: the values of the options, else those of the preset."""
    given = values["dates"]
    first, last = values["start"]
    fixed = {
        "first_start": first,
        "last_start": last,
        "months": values["months"],
        "dates": () if given == "table" else given,
        "table_dates": given == "table",
    }
    for name in ("start", "periods", "period_months", "gap_years") if given else ():
        if not is_default(ctx, name):
            option = f"--{name.replace('_', '-')}"
            raise InputError(f"{option} has no effect with --dates", option, "Remove one of them")
    if given and is_default(ctx, "tiles_per_period"):
        values["tiles_per_period"] = 1
    for name, value in PRESETS[values["preset"]].values.items():
        option = "start" if name.endswith("_start") else name
        if is_default(ctx, option):
            (fixed if option == "start" else values)[name] = value
    return settings_from(SceneSettings, values, **fixed)


def _fill(table: LocationTable, values: dict[str, Any]) -> bool:
    """Whether rejected locations are replaced."""
    from caco_data.sampling.locations import is_sampled

    if values["dates"] == "table":
        if values["fill"]:
            what = "Further rows of the sampler have no dates"
            raise InputError(what, "--fill --dates table", "Use --no-fill")
        return False
    return is_sampled(table) if values["fill"] is None else bool(values["fill"])


def _settings(
    ctx: click.Context, table: LocationTable, values: dict[str, Any]
) -> tuple[DownloadSettings, ClusterSettings]:
    if is_default(ctx, "seed"):
        values["seed"] = int(table.metadata.get("seed", 0))
    if values["source"] == "earthengine" and values["requests_per_second"] is None:
        values["requests_per_second"] = QUOTA_PER_SECOND
    scenes = _scenes(ctx, values)
    scenes.check()
    _check_dates(values["source"], scenes, table)
    settings = settings_from(
        DownloadSettings,
        values,
        source=settings_from(SOURCES[values["source"]], values),
        fetch=settings_from(FetchSettings, values, scenes=scenes),
        fill=_fill(table, values),
    )
    if values["scheduler"] and not is_default(ctx, "workers"):
        echo("--workers has no effect with --scheduler", err=True)
    if values["scheduler"] == "":  # an unset variable of a shell
        raise InputError("The address of the scheduler is empty", "--scheduler", "Pass an address")
    retry = settings_from(RetryPolicy, values)
    return settings, settings_from(ClusterSettings, values, retry=retry)
