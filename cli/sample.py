"""`caco-data sample`: sample locations."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

from caco_data.sampling.settings import SampleSettings

from .options import is_quiet, options_of, settings_from
from .output import echo
from .render import plural
from .types import COUNT


@click.command("sample")
@click.option("--n", type=COUNT, required=True, help="Number of locations: 100000, 100k, 2.5k, 1m.")
@options_of(SampleSettings)
@click.option(
    "--out",
    type=click.Path(dir_okay=False),
    default="locations.parquet",
    show_default=True,
    help="Output file: .parquet, .geojson, .gpkg or .csv.",
)
@click.option("--overwrite", is_flag=True, help="Replace --out if it contains other locations.")
@click.option(
    "--map",
    "map_path",
    type=click.Path(dir_okay=False),
    metavar="FILE.png",
    help="Plot the locations on a map.",
)
@click.pass_context
def command(
    ctx: click.Context, /, n: int, out: str, overwrite: bool, map_path: str | None, **values: Any
) -> None:
    """Sample locations around cities, reproducibly.

    The rows of a smaller --n are the first rows of a larger one. A point whose whole patch
    (2,640 m square) is in the ocean is replaced.

    \b
    caco-data sample --n 100k
    caco-data sample --n 10k --no-overlap --map map.png
    caco-data sample --n 500 --within 3.3,50.7,7.3,53.6 --out netherlands.geojson
    """
    from caco_data.sampling.location_files import write_locations, writer_of
    from caco_data.sampling.locations import sample_locations

    settings = settings_from(SampleSettings, values)
    writer_of(Path(out))  # an unsupported suffix is reported before sampling
    if map_path is not None and Path(map_path).suffix.lower() != ".png":
        raise click.BadParameter(f"{map_path!r} does not end in .png", param_hint="--map")
    if map_path is not None and not Path(map_path).parent.is_dir():
        raise click.BadParameter(f"no such folder: {Path(map_path).parent}", param_hint="--map")
    began = time.perf_counter()
    locations = sample_locations(settings, n)
    took = time.perf_counter() - began
    write_locations(locations, out, overwrite)
    if map_path is not None:
        from caco_data.sampling.location_map import plot_map

        plot_map(locations, map_path)
    if not is_quiet(ctx):
        echo(
            f"{plural(n, 'location')} sampled in {took:.2f} s "
            f"({settings.strategy}, seed {settings.seed})",
            err=True,
        )
    echo(out)
