"""`caco-data report`: pictures of a data set."""

from __future__ import annotations

import click

from .options import dataset_argument


@click.command("report")
@dataset_argument
@click.option("--out", default="stacks.png", show_default=True, help="PNG to write.")
@click.option(
    "--rows", type=click.IntRange(1, 100), default=8, show_default=True, help="Locations to show."
)
def command(dataset: str, out: str, rows: int) -> None:
    """Draw the stacks of some locations as a contact sheet.

    \b
    caco-data report dataset --out stacks.png
    """
    from caco_data.dataset.contact_sheet import plot_stacks
    from caco_data.dataset.reader import open_dataset
    from caco_data.errors import InputError

    if not out.endswith(".png"):
        raise InputError("Not the name of a PNG", out, "End --out in .png")
    plot_stacks(open_dataset(dataset), out, rows)
    click.echo(out)
