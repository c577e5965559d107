"""`caco-data sample`: draw locations."""

from __future__ import annotations

import click

from .options import COUNT


@click.command("sample")
@click.option("--n", type=COUNT, required=True, help="Locations: 100000, 100k, 2.5k, 1m.")
def command(n: int) -> None:
    """Draw locations near cities."""
    click.echo(n)
