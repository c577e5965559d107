"""`caco-data verify`: whether a data set is what it says."""

from __future__ import annotations

import sys

import click

from .options import dataset_argument


@click.command("verify")
@dataset_argument
@click.option(
    "--repair",
    is_flag=True,
    help="Drop the broken locations, so that 'download' fetches them again.",
)
def command(dataset: str, repair: bool) -> None:
    """Check a data set and name what is broken.

    Holds every digest, array shape, CRS, offset and count against dataset.json and the index.

    \b
    caco-data verify dataset
    caco-data verify --repair dataset && caco-data download ...
    """
    from tqdm import tqdm

    from caco_data.dataset.repair import repair as repair_dataset
    from caco_data.dataset.verify import verify
    from caco_data.storage import open_storage

    storage = open_storage(dataset)
    with tqdm(unit="shard", disable=None, leave=False) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        verdict = verify(storage, show)
    if not verdict.damages:
        click.echo(f"{dataset}: {verdict.checked} locations, all as written")
        return
    for damage in verdict.damages:
        click.echo(str(damage))
    if repair:
        dropped = repair_dataset(storage, verdict)
        click.echo(
            f"{dataset}: {dropped} locations dropped; run the same 'caco-data download' again "
            "to fetch them",
            err=True,
        )
        return
    click.echo(
        f"error: {len(verdict.damages)} things are broken ({dataset}). Run 'caco-data verify "
        "--repair', then the same 'caco-data download' again.",
        err=True,
    )
    sys.exit(1)
