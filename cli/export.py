"""`caco-data export`: data sets in layouts of other software."""

from __future__ import annotations

from typing import Any

import click

from .options import is_quiet
from .output import echo
from .types import COUNT


@click.command("export")
@click.argument("dataset", metavar="DATASET")
@click.argument("out", metavar="OUT")
@click.option(
    "--format", "kind", type=click.Choice(["geotiff", "vrt", "zarr", "stac", "caco", "croissant"]),
    default="geotiff", show_default=True,
    help="geotiff: one file with all bands per tile. vrt: files for GDAL that point into the "
    "shards. zarr: one group per location, for xarray. stac: GeoTIFF files with a STAC catalogue. "
    "caco: the layout of the paper's authors, LOCATION/SCENE/B4.tif. croissant: metadata only, of "
    "the whole data set.",
)  # fmt: skip
@click.option(
    "--locations", metavar="IDS_OR_FILE",
    help="Locations to export: 3,14,15, or a .parquet or .csv file with a column location_id.",
)  # fmt: skip
@click.option(
    "--where", metavar="CONDITION",
    help="Condition on the columns of locations.parquet, such as \"country == 'CL'\".",
)  # fmt: skip
@click.option("--limit", type=COUNT, help="Maximum number of locations.")
@click.option(
    "--workers", type=click.IntRange(1), default=4, show_default=True, metavar="INTEGER",
    help="Threads.",
)  # fmt: skip
@click.pass_context
def command(
    ctx: click.Context, dataset: str, out: str, kind: Any, locations: str | None,
    where: str | None, limit: int | None, workers: int,
) -> None:  # fmt: skip
    """Export a data set for other software.

    Run the same command again to resume after an interruption.

    \b
    caco-data export dataset tiles
    caco-data export dataset store.zarr --format zarr --limit 100
    caco-data export dataset folders --format caco --where "city_population > 1e6"
    """
    from tqdm import tqdm

    from caco_data.dataset.reader import open_dataset
    from caco_data.exchange.export import ExportSettings, export_dataset
    from caco_data.exchange.selection import Selection

    settings = ExportSettings(kind, Selection(locations, where, limit), workers)
    with tqdm(unit="location", disable=True if is_quiet(ctx) else None, leave=False) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        count = export_dataset(open_dataset(dataset), out, settings, show)
    echo(f"{count:,} locations exported", err=True)
    echo(out)
