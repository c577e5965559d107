"""`caco-data report`: a page about data sets, runs and evaluations, or a contact sheet."""

from __future__ import annotations

import click

from .options import check_place
from .output import echo
from .types import BANDS

#: Number of locations with images: of a page, and of a contact sheet.
_STACKS, _ROWS = 24, 8


@click.command("report")
@click.argument("paths", metavar="[DATASET|RUN|EVALUATION...]", nargs=-1, callback=check_place)
@click.option(
    "--out",
    default="report.html",
    show_default=True,
    metavar="FILE",
    help="Page to write (.html), or contact sheet of one data set (.png).",
)
@click.option("--overwrite", is_flag=True, help="Replace --out.")
@click.option(
    "--stacks",
    type=click.IntRange(0, 1000),
    default=None,
    metavar="INTEGER",
    show_default=f"{_STACKS}; {_ROWS} for a contact sheet",
    help="Number of locations with images per data set, the most changed first.",
)
@click.option(
    "--bands",
    type=BANDS,
    default=None,
    show_default="true colour",
    metavar="BANDS",
    help="Three bands of the images, such as B8,B4,B3.",
)
@click.option(
    "--location",
    "locations",
    type=click.IntRange(0),
    multiple=True,
    metavar="ID",
    help="Location whose images are shown before the others. May be repeated.",
)
def command(
    paths: tuple[str, ...], out: str, overwrite: bool, stacks: int | None,
    bands: tuple[str, ...] | None, locations: tuple[int, ...],
) -> None:  # fmt: skip
    """Write a page that shows data sets, runs and evaluations.

    Data sets: map, statistics, and stacks of images. Runs and evaluations: curves over each other,
    metrics with intervals. With a run on the same data set, the images are ordered by its
    estimated change, unless the true change is known. The page is one file that needs no network.

    \b
    caco-data report dataset run evaluation/eurosat-run.json --out report.html
    caco-data report dataset --out stacks.png
    """
    from caco_data.errors import InputError

    paths = paths or ("dataset",)
    if out.endswith(".png"):
        from caco_data.dataset.contact_sheet import plot_stacks
        from caco_data.dataset.reader import open_dataset
        from caco_data.report.write import check_out

        if len(paths) > 1:
            raise InputError("A contact sheet shows one data set", out, "Name one, or use .html")
        check_out(out, overwrite)
        plot_stacks(open_dataset(paths[0]), out, min(stacks or _ROWS, 100))
        echo(out)
        return
    if not out.endswith((".html", ".htm")):
        raise InputError(
            "The file name ends neither in .html nor in .png", out, "Use another --out"
        )
    from caco_data.report.write import ReportSettings, write_report

    settings = ReportSettings(_STACKS if stacks is None else stacks, bands, locations)
    nbytes = write_report(paths, out, settings, overwrite)
    echo(f"{out} ({nbytes / 1e6:.1f} MB)")
