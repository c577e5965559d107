"""`caco-data info`: summary of a data set."""

from __future__ import annotations

import json

import click

from .options import dataset_argument, print_leftovers
from .output import echo
from .render import dataset_summary


@click.command("info")
@dataset_argument
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(dataset: str, as_json: bool) -> None:
    """Summarise a data set.

    \b
    caco-data info dataset
    caco-data info --json dataset | jq .counts
    """
    from caco_data.dataset.reader import open_dataset
    from caco_data.dataset.summary import summarise
    from caco_data.storage import open_storage

    print_leftovers(open_storage(dataset))
    summary = summarise(open_dataset(dataset))
    text = json.dumps(summary, indent=1) if as_json else dataset_summary(summary)
    echo(*text.split("\n"))
