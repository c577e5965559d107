"""`caco-data verify`: verification of a data set."""

from __future__ import annotations

import click

from caco_data.errors import REPAIR_REMEDY, DatasetError

from .options import dataset_argument


@click.command("verify")
@dataset_argument
@click.option(
    "--repair",
    is_flag=True,
    help="Remove damaged locations, so that 'caco-data download' fetches them again.",
)
def command(dataset: str, repair: bool) -> None:
    """Verify a data set and list its problems.

    Compares every digest, array shape, CRS, offset and count with dataset.json and the index.

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
        click.echo(f"{dataset}: {verdict.checked} locations verified, no problems found")
        return
    for damage in verdict.damages:
        click.echo(str(damage))
    if repair:
        dropped = repair_dataset(storage, verdict)
        click.echo(
            f"{dataset}: {dropped} locations removed; run the same 'caco-data download' again "
            "to fetch them",
            err=True,
        )
        return
    n = len(verdict.damages)
    raise DatasetError(
        f"{n} problem{'s' if n > 1 else ''} found",
        dataset,
        REPAIR_REMEDY,
    )
