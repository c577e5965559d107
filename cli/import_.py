"""`caco-data import`: released data sets in folders of GeoTIFFs."""

from __future__ import annotations

from typing import Any

import click

from caco_data.sentinel2 import RGB_BANDS

from .options import is_quiet
from .output import echo
from .types import BANDS, COUNT


@click.command("import")
@click.argument("folder", metavar="FOLDER")
@click.argument("dataset", metavar="DATASET")
@click.option(
    "--format", "layout", type=click.Choice(["caco", "seco"]), default="caco", show_default=True,
    help="Layout: caco has ten scenes per location, the oldest five early and the newest five "
    "late; seco has five, which are used for both periods.",
)  # fmt: skip
@click.option("--bands", type=BANDS, default=RGB_BANDS, show_default="rgb",
              help="Bands to import.")  # fmt: skip
@click.option("--locations-per-shard", type=COUNT, default=128, show_default=True, metavar="COUNT",
              help="Locations per shard.")  # fmt: skip
@click.option("--workers", type=click.IntRange(1), default=4, show_default=True, metavar="INTEGER",
              help="Reader threads.")  # fmt: skip
@click.pass_context
def command(
    ctx: click.Context, folder: str, dataset: str, layout: Any, bands: tuple[str, ...],
    locations_per_shard: int, workers: int,
) -> None:  # fmt: skip
    """Import a released data set for training.

    Its files are LOCATION/SCENE/B4.tif.

    Locations with missing or unreadable files are rejected; rejected.parquet states the reasons.
    Run the same command again to resume after an interruption.

    \b
    caco-data import caco_100k dataset
    caco-data import --format seco seco_100k dataset
    """
    from tqdm import tqdm

    from caco_data.exchange.importer import ImportSettings, import_folder

    settings = ImportSettings(layout, bands, locations_per_shard, workers)
    with tqdm(unit="location", disable=True if is_quiet(ctx) else None, leave=False) as bar:

        def show(complete: int, rejected: int, total: int) -> None:
            bar.total = total
            bar.update(complete + rejected - bar.n)
            bar.set_postfix_str(f"{rejected} rejected")

        complete, rejected = import_folder(folder, dataset, settings, show)
    echo(f"{complete:,} locations imported, {rejected:,} rejected", err=True)
    echo(dataset)
