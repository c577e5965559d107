"""Reading of the subjects of a report, and writing of the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from caco_data.dataset.layout import DESCRIPTION
from caco_data.dataset.reader import open_dataset
from caco_data.errors import InputError
from caco_data.report.dataset_section import dataset_section
from caco_data.report.elements import Section
from caco_data.report.page import render_page
from caco_data.report.pictures import Change
from caco_data.storage import LocalStorage, open_storage, write_bytes


@dataclass(frozen=True)
class ReportSettings:
    """What a page shows."""

    stacks: int = 24
    """Number of locations with images per data set."""
    bands: tuple[str, ...] | None = None
    """Three bands of the images; true colour if None."""
    locations: tuple[int, ...] = ()
    """Locations whose images are shown before the others."""


def write_report(
    paths: Sequence[str], out: str, settings: ReportSettings, overwrite: bool = False
) -> int:
    """Write a page about data sets.

    Parameters
    ----------
    paths : sequence of str
        Data sets: folders or URLs.
    out : str
        HTML file to write.
    settings : ReportSettings
        What to show.
    overwrite : bool
        Whether an existing file is replaced.

    Returns
    -------
    int
        Size of the page, bytes.

    Raises
    ------
    InputError
        When a path is not a subject of a report, the settings do not fit, or the file exists.
    DatasetError
        When a data set is damaged.
    """
    check_out(out, overwrite)
    sections = [_section(path, settings) for path in paths]
    title = sections[0].title if len(sections) == 1 else "Report of caco-data"
    page = render_page(title, sections).encode()
    check_out(out, overwrite)  # reading takes a while
    where = Path(out).absolute()
    write_bytes(LocalStorage(where.parent), where.name, page)
    return len(page)


def check_out(out: str, overwrite: bool) -> None:
    """Raise InputError if a file exists that must not be replaced."""
    if Path(out).exists() and not overwrite:
        raise InputError("The file exists", out, "Use --overwrite, or another --out")


def _section(path: str, settings: ReportSettings) -> Section:
    if not open_storage(path).exists(DESCRIPTION):
        raise InputError("Not a data set", path, "Use a folder with dataset.json")
    return dataset_section(
        open_dataset(path), Change(), settings.stacks, settings.bands, settings.locations
    )
