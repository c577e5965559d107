"""`caco-data verify`: verification of a data set."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

import click

from caco_data.errors import REPAIR_REMEDY, DatasetError

from .options import dataset_argument, print_leftovers
from .output import echo

if TYPE_CHECKING:
    from caco_data.dataset.verify import Verdict
    from caco_data.storage import Storage


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
    Notes list the leftovers of interrupted commands.

    \b
    caco-data verify dataset
    caco-data verify --repair dataset && caco-data download ...
    """
    from caco_data.dataset.leftovers import remove_leftovers
    from caco_data.dataset.repair import remedy
    from caco_data.dataset.repair import repair as repair_dataset
    from caco_data.folder_lock import folder_lock
    from caco_data.storage import open_storage

    storage = open_storage(dataset)
    if not repair:
        print_leftovers(storage)
    with folder_lock(storage, "caco-data verify --repair") if repair else nullcontext():
        verdict = _verify(storage)
        if repair:
            remove_leftovers(storage, finished=True)
        if not verdict.damages:
            echo(f"{dataset}: {verdict.checked} locations verified, no problems found")
            return
        for damage in verdict.damages:
            echo(str(damage))
        advice = remedy(verdict)
        if repair and advice == REPAIR_REMEDY:
            dropped = repair_dataset(storage, verdict)
            echo(
                f"{dataset}: {dropped} locations removed; run the same 'caco-data download' again "
                "to fetch them",
                err=True,
            )
            return
    n = len(verdict.damages)
    raise DatasetError(f"{n} problem{'s' if n > 1 else ''} found", dataset, advice)


def _verify(storage: Storage) -> Verdict:
    """Verify a data set with a progress bar."""
    from tqdm import tqdm

    from caco_data.dataset.verify import verify

    with tqdm(unit="shard", disable=None, leave=False) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        return verify(storage, show)
