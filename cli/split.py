"""`caco-data split`: parts of a data set for training, validation and test."""

from __future__ import annotations

from typing import Any

import click

from caco_data.split_settings import SplitSettings

from .options import dataset_argument, options_of, settings_from
from .output import echo


@click.command("split")
@dataset_argument
@options_of(SplitSettings)
def command(dataset: str, **values: Any) -> None:
    """Split a data set into train, val and test.

    The parts consist of whole locations. Writes split.parquet into the data set. Patches of
    different parts are at least --buffer-km apart; the locations between them belong to no part
    ("buffer"). The fractions are met as nearly as the blocks permit.

    \b
    caco-data split dataset --val 0.1 --test 0.1 --buffer-km 5
    caco-data train --split train
    """
    from caco_data.dataset.reader import open_dataset
    from caco_data.dataset.split import write_split
    from caco_data.folder_lock import folder_lock

    settings = settings_from(SplitSettings, values)
    opened = open_dataset(dataset)
    with folder_lock(opened.storage, "caco-data split"):
        counts = write_split(opened.storage, opened.digest, settings, opened.layout)
    total = sum(counts.values())
    for name, n in counts.items():
        echo(f"{name:6} {n:8,} locations {n / total:6.1%}")
