"""`caco-data download`: multi-year, cloud-filtered stacks into shards."""

from __future__ import annotations

import re
from datetime import date
from typing import TYPE_CHECKING

import click

from .options import COUNT, Bands, earthengine_options
from .progress import DownloadDisplay, duration, retries

if TYPE_CHECKING:
    from caco_data.download.progress import DownloadProgress
    from caco_data.download.settings import CloudMask
    from caco_data.sources.base import SourceSettings

#: Requests a second that a project has (Earth Engine guide, "Quotas").
QUOTA_PER_SECOND = 100.0
#: Requests from which on a run is announced with what it takes.
BIG = 10_000


class StartRange(click.ParamType):  # type: ignore[type-arg]
    """`2019-01-01..2020-12-31`, or one date."""

    name = "date..date"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[date, date]:
        """Parse, or fail naming the form."""
        match = re.fullmatch(r"(\d{4}-\d\d-\d\d)(?:\.\.(\d{4}-\d\d-\d\d))?", str(value).strip())
        try:
            if match is None:
                raise ValueError
            first = date.fromisoformat(match[1])
            last = date.fromisoformat(match[2] or match[1])
        except ValueError:
            self.fail(f"{value!r} is not of the form 2019-01-01..2020-12-31", param, ctx)
        if last < first:
            self.fail(f"{value!r} ends before it begins", param, ctx)
        return first, last


def _source(
    name: str, archive_seed: int, project: str | None, ee_url: str | None, key_file: str | None,
    deadline: float,
) -> SourceSettings:  # fmt: skip
    if name == "simulated":
        from caco_data.sources.simulated.settings import SimulatedSettings

        return SimulatedSettings(seed=archive_seed)
    from caco_data.sources.earthengine.endpoint import HIGH_VOLUME
    from caco_data.sources.earthengine.settings import EarthEngineSettings

    return EarthEngineSettings(project, ee_url or HIGH_VOLUME, key_file, deadline)


@click.command("download")
@click.option(
    "--locations",
    default="locations.parquet",
    show_default=True,
    help="Table of locations, of 'caco-data sample' or your own.",
)
@click.option(
    "--out",
    default="dataset",
    show_default=True,
    help="Folder of the data set, or an fsspec URL (s3://, gs://, file://).",
)
@click.option(
    "--source",
    type=click.Choice(["earthengine", "simulated"]),
    default="earthengine",
    show_default=True,
    help="Where the images come from; 'simulated' needs no account and no network.",
)
@earthengine_options
@click.option(
    "--bands",
    type=Bands(),
    default="rgb",
    show_default=True,
    help="rgb (B4,B3,B2), all, or a list such as B2,B3,B4,B8.",
)
@click.option(
    "--dtype",
    type=click.Choice(["uint16", "uint8"]),
    default="uint16",
    show_default=True,
    help="uint16 DN, or uint8 DN / 10000 * 255.",
)
@click.option(
    "--compress",
    type=click.Choice(["none", "zstd"]),
    default="none",
    show_default=True,
    help="zstd saves space and costs reading speed.",
)
@click.option(
    "--start",
    type=StartRange(),
    default="2019-01-01..2020-12-31",
    show_default=True,
    help="Days among which each location's early period begins.",
)
@click.option(
    "--gap-years",
    type=click.IntRange(1, 10),
    default=4,
    show_default=True,
    help="Years from the early to the late period.",
)
@click.option(
    "--max-cloud",
    type=click.FloatRange(0, 100),
    default=20,
    show_default=True,
    help="Most clouds of a scene, per cent.",
)
@click.option(
    "--min-clear",
    type=click.FloatRange(0, 1),
    default=0.9,
    show_default=True,
    help="Least clear fraction inside the patch.",
)
@click.option(
    "--min-spacing",
    type=click.FloatRange(0, 73),
    default=10,
    show_default=True,
    help="Days between a borrowed scene and the others of its period.",
)
@click.option(
    "--cloud-mask",
    type=click.Choice(["scl", "cs+"]),
    default="scl",
    show_default=True,
    help="What tells clear pixels: the scene classification, or Cloud Score+ (one more request a "
    "tile).",
)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**63 - 1),
    help="Draws the start of each early period.  [default: the locations' seed, or 0]",
)
@click.option(
    "--archive-seed",
    type=click.IntRange(0, 2**32 - 1),
    default=0,
    show_default=True,
    help="Which simulated world (--source simulated).",
)
@click.option(
    "--concurrency",
    type=COUNT,
    default=40,
    show_default=True,
    help="Most requests in flight over all workers.",
)
@click.option(
    "--requests-per-second",
    type=click.FloatRange(0, min_open=True),
    help="Most requests a second over all workers.  [default: 100 for 'earthengine', its quota; "
    "no cap for 'simulated']",
)
@click.option(
    "--deadline",
    type=click.FloatRange(0.1, 3600),
    default=60,
    show_default=True,
    help="Longest a request to Earth Engine may take, seconds.",
)
@click.option(
    "--max-retries",
    type=click.IntRange(0, 100),
    default=8,
    show_default=True,
    help="Retries of a request that fails in passing.",
)
@click.option(
    "--workers",
    type=click.IntRange(1, 256),
    help="Worker processes.  [default: one a core, at most 8]",
)
@click.option(
    "--scheduler",
    metavar="ADDRESS",
    help="An existing Dask scheduler (tcp://host:8786) instead of a local cluster.",
)
@click.option(
    "--locations-per-shard",
    type=click.IntRange(1, 100_000),
    default=128,
    show_default=True,
    help="Rows of the locations table in a shard.",
)
@click.option(
    "--fill", is_flag=True, help="Draw replacements for rejected locations until all are complete."
)
@click.option(
    "--min-complete",
    type=click.FloatRange(0, 1),
    default=0.95,
    show_default=True,
    help="Exit with 3 when a smaller share of the locations is complete.",
)
@click.option(
    "--dry-run",
    is_flag=True,
    help="Print requests, bytes and hours; make no request, write nothing.",
)
@click.option("--json-log", is_flag=True, help="Progress as JSON lines on stderr.")
@click.pass_context
def command(
    ctx: click.Context,
    locations: str,
    out: str,
    source: str,
    project: str | None,
    ee_url: str | None,
    key_file: str | None,
    bands: tuple[str, ...],
    dtype: str,
    compress: str,
    start: tuple[date, date],
    gap_years: int,
    max_cloud: float,
    min_clear: float,
    min_spacing: float,
    cloud_mask: CloudMask,
    seed: int | None,
    archive_seed: int,
    concurrency: int,
    requests_per_second: float | None,
    deadline: float,
    max_retries: int,
    workers: int | None,
    scheduler: str | None,
    locations_per_shard: int,
    fill: bool,
    min_complete: float,
    dry_run: bool,
    json_log: bool,
) -> None:
    """Download the stacks of locations into shards.

    Interrupt it whenever you like: the same command again resumes, and ends in the same bytes.

    \b
    caco-data download --project my-project
    caco-data download --project my-project --bands all --locations mine.geojson --out mine
    caco-data download --source simulated
    """
    from caco_data.download.estimate import describe, estimate, size
    from caco_data.download.run import download
    from caco_data.download.settings import (
        ClusterSettings,
        DownloadSettings,
        FetchSettings,
        SceneSettings,
    )
    from caco_data.errors import IncompleteError, InterruptedRunError
    from caco_data.sampling.location_files import read_locations
    from caco_data.sources.retry import RetryPolicy

    table = read_locations(locations)
    scenes = SceneSettings(
        seed=int(table.metadata.get("seed", 0)) if seed is None else seed,
        first_start=start[0],
        last_start=start[1],
        gap_years=gap_years,
        max_cloud_pct=max_cloud,
        cloud_mask=cloud_mask,
        min_clear=min_clear,
        min_spacing_days=min_spacing,
    )
    settings = DownloadSettings(
        source=_source(source, archive_seed, project, ee_url, key_file, deadline),
        fetch=FetchSettings(scenes, bands, dtype, compress),  # type: ignore[arg-type]
        locations_per_shard=locations_per_shard,
        fill=fill,
    )
    per_second = requests_per_second or (QUOTA_PER_SECOND if source == "earthengine" else None)
    cluster = ClusterSettings(
        concurrency=concurrency,
        requests_per_second=per_second,
        workers=workers,
        scheduler=scheduler,
        retry=RetryPolicy(max_retries),
    )
    plan = estimate(
        len(table.location_id), settings.fetch, locations_per_shard, concurrency, per_second
    )
    if dry_run:
        click.echo(describe(plan))
        return
    if source != "simulated" and plan.requests > BIG:
        click.echo(
            f"about {plan.requests:,} requests, {size(plan.disk_nbytes)} on disk, "
            f"{plan.hours:,.1f} hours; --dry-run tells more",
            err=True,
        )
    show = DownloadDisplay(json_log, quiet=ctx.find_root().params["quiet"])
    result: DownloadProgress | None = None
    try:
        result = download(settings, table, out, cluster, show)
    except KeyboardInterrupt:
        raise InterruptedRunError(
            "Interrupted; what is finished is kept", out, "Run the same command again to resume"
        ) from None
    finally:
        show.close(result)
    click.echo(_summary(result), err=True)
    click.echo(out)
    if result.done < min_complete * result.wanted:
        raise IncompleteError(
            f"{result.done} of {result.wanted} locations are complete, fewer than "
            f"{min_complete:.0%}",
            out,
            "Raise --max-cloud, lower --min-clear, or use --fill",
        )


def _summary(result: DownloadProgress) -> str:
    reasons = ", ".join(f"{n} {reason}" for reason, n in sorted(result.rejected.items()))
    line = f"{result.done} locations complete, {result.rejected.total()} rejected" + (
        f" ({reasons})" if reasons else ""
    )
    if not result.settled:
        return f"{line}; nothing was left to do"
    return (
        f"{line}; {result.tiles} tiles, {result.requests} requests, "
        f"{retries(result.retries)}, {result.nbytes / 1e6:.1f} MB of pixels "
        f"in {duration(result.elapsed_s)}"
    )
