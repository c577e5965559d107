"""Reading of the subjects of a report, and writing of the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from caco_data.dataset.layout import DESCRIPTION
from caco_data.dataset.reader import open_dataset
from caco_data.errors import InputError
from caco_data.evaluation.compare import Subject, read_subject
from caco_data.report.dataset_section import dataset_section
from caco_data.report.elements import Section
from caco_data.report.evaluation_section import (
    Evaluation,
    audit_section,
    evaluation_section,
    is_audit,
    read_json_file,
)
from caco_data.report.page import render_page
from caco_data.report.pictures import Change
from caco_data.report.run_section import Run, read_run, run_section
from caco_data.storage import LocalStorage, write_bytes

#: File that is in every folder of a run.
CONFIG = "config.json"


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
    """Write a page about data sets, runs and evaluations.

    Parameters
    ----------
    paths : sequence of str
        Data sets (folders or URLs), folders of runs, and JSON files or folders of evaluations and
        audits.
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
    sections = read_sections(paths, settings)
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


def read_sections(paths: Sequence[str], settings: ReportSettings) -> list[Section]:
    """Sections of a page: data sets, audits, runs together, evaluations together."""
    audits: list[Section] = []
    subjects: list[Subject] = []
    for path in dict.fromkeys(chain.from_iterable(map(_expanded, paths))):
        content = read_json_file(path) if path.endswith(".json") else {}
        if is_audit(content):
            audits.append(audit_section(content, path))
        else:
            subjects.append(read_subject(path))
    runs = [read_run(one, name) for one, name in _named(subjects, "run")]
    evaluations = [
        Evaluation(one, name, read_json_file(one.path))
        for one, name in _named(subjects, "evaluation")
    ]
    sections = [_dataset(one.path, runs, settings) for one in subjects if one.kind == "data set"]
    sections += audits
    if runs:
        sections.append(run_section(runs))
    if evaluations:
        sections.append(evaluation_section(evaluations))
    return sections


def _expanded(path: str) -> list[str]:
    """The JSON files of a folder of evaluations or audits, or the path itself."""
    folder = Path(path)
    if not folder.is_dir() or (folder / CONFIG).is_file() or (folder / DESCRIPTION).is_file():
        return [path]
    return [str(one) for one in sorted(folder.glob("*.json"))] or [path]


def _named(subjects: Sequence[Subject], kind: str) -> list[tuple[Subject, str]]:
    """Subjects of a kind with their names."""
    own = [one for one in subjects if one.kind == kind]
    return list(zip(own, unique_names([one.path for one in own]), strict=True))


def unique_names(paths: Sequence[str]) -> list[str]:
    """Last parts of paths, as many as are needed to tell them apart."""
    parts = [Path(path.removesuffix(".json")).parts for path in paths]
    for length in range(1, max(map(len, parts), default=0) + 1):
        names = ["/".join(one[-length:]) for one in parts]
        if len(set(names)) == len(names):
            return names
    return [f"{i}. {path}" for i, path in enumerate(paths, start=1)]


def _dataset(path: str, runs: Sequence[Run], settings: ReportSettings) -> Section:
    """Section of a data set, with the estimated change of the first run that was trained on it."""
    dataset = open_dataset(path)
    own = [run for run in runs if run.data_digest == dataset.digest and run.change is not None]
    change = own[0].estimated_change() if own else Change()
    return dataset_section(dataset, change, settings.stacks, settings.bands, settings.locations)
