"""`caco-data info`: what a data set holds."""

from __future__ import annotations

import json

import click

from .options import dataset_argument


@click.command("info")
@dataset_argument
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def command(dataset: str, as_json: bool) -> None:
    """Say what a data set holds.

    \b
    caco-data info dataset
    caco-data info --json dataset | jq .counts
    """
    from caco_data.dataset.reader import open_dataset
    from caco_data.dataset.summary import as_text, summarise

    summary = summarise(open_dataset(dataset))
    click.echo(json.dumps(summary, indent=1) if as_json else as_text(summary))
