"""`caco-data report`: contact sheet of a data set."""

from __future__ import annotations

import click

from .options import dataset_argument
from .output import echo


@click.command("report")
@dataset_argument
@click.option(
    "--out", default="stacks.png", show_default=True, metavar="FILE.png", help="PNG to write."
)
@click.option(
    "--rows",
    type=click.IntRange(1, 100),
    default=8,
    show_default=True,
    metavar="INTEGER",
    help="Number of locations to show, one per row.",
)
def command(dataset: str, out: str, rows: int) -> None:
    """Plot image stacks of a data set as a contact sheet.

    \b
    caco-data report dataset --out stacks.png
    """
    from caco_data.dataset.contact_sheet import plot_stacks
    from caco_data.dataset.reader import open_dataset
    from caco_data.errors import InputError

    if not out.endswith(".png"):
        raise InputError("The file name does not end in .png", out, "Use another --out")
    plot_stacks(open_dataset(dataset), out, rows)
    echo(out)
