"""`caco-data merge`: merge of data sets."""

from __future__ import annotations

import click

from .options import check_place, is_quiet
from .output import echo


@click.command("merge")
@click.argument(
    "datasets", nargs=-1, required=True, metavar="DATASET DATASET...", callback=check_place
)
@click.option(
    "--out",
    required=True,
    metavar="FOLDER",
    callback=check_place,
    help="Folder or URL of the merged data set.",
)
@click.option(
    "--renumber",
    is_flag=True,
    help="Give the locations new ids: those of each data set follow those of the one before.",
)
@click.option("--move", is_flag=True, help="Move the shards instead of linking or copying them.")
@click.pass_context
def command(
    ctx: click.Context, datasets: tuple[str, ...], out: str, renumber: bool, move: bool
) -> None:
    """Merge data sets of equal settings.

    The data sets may come from several machines or regions.

    Shards are not rewritten: they are linked, or copied to another file system. After an
    interruption, the same command continues.

    \b
    caco-data merge machine1 machine2 --out dataset
    caco-data merge europe africa --renumber --out both
    """
    from tqdm import tqdm

    from caco_data.dataset.merge import UnequalSettingsError, merge

    if len(datasets) < 2:
        raise click.UsageError("Name at least two data sets.")
    try:
        with tqdm(unit="shard", disable=True if is_quiet(ctx) else None, leave=False) as bar:

            def show(done: int, total: int) -> None:
                bar.total = total
                bar.update(done - bar.n)

            meta = merge(datasets, out, renumber, move, show)
    except UnequalSettingsError as error:
        for line in error.lines:
            echo(line, err=True)
        raise
    counts = meta["counts"]
    if not is_quiet(ctx):
        echo(
            f"{len(datasets)} data sets merged: {counts['complete']:,} complete locations in "
            f"{len(meta['shards']):,} shards",
            err=True,
        )
    echo(out)
