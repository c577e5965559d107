"""`caco-data compare`: data sets, runs or evaluations side by side."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from .output import echo
from .render import text_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from caco_data.evaluation.compare import Subject


@click.command("compare")
@click.argument("paths", metavar="A B [C...]", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(paths: tuple[str, ...], as_json: bool) -> None:
    """Compare data sets, runs, or evaluations.

    Prints the settings that differ, sizes and statistics, and for evaluations the metrics with
    their 95 % intervals and whether a difference from the first one is larger than its uncertainty.

    \b
    caco-data compare dataset other-dataset
    caco-data compare run-caco run-seco
    caco-data compare evaluation/eurosat-caco.json evaluation/eurosat-seco.json
    """
    from caco_data.errors import InputError
    from caco_data.evaluation.compare import differing, metric_differences, read_subject

    if len(paths) < 2:
        raise InputError("One path only", paths[0], "Name two or more to compare")
    subjects = [read_subject(path) for path in paths]
    kinds = {one.kind for one in subjects}
    if len(kinds) > 1:
        listed = ", ".join(f"{one.path}: {one.kind}" for one in subjects)
        raise InputError("Different kinds of things", listed, "Compare things of one kind")
    settings = differing([one.settings for one in subjects])
    figures = {
        name: [one.figures.get(name) for one in subjects]
        for name in dict.fromkeys(name for one in subjects for name in one.figures)
    }
    if as_json:
        echo(*json.dumps(_as_json(subjects, settings, figures), indent=1).split("\n"))
        return
    title = [f"{chr(65 + i)}: {one.path} ({one.kind})" for i, one in enumerate(subjects)]
    echo(*title)
    letters = [chr(65 + i) for i in range(len(subjects))]
    for heading, rows in (("settings that differ", settings), ("figures", figures)):
        if rows:
            echo("", heading)
            table = [("", *letters)]
            table += [(name, *map(_text, values)) for name, values in rows.items()]
            echo(*text_table(table).split("\n"))
    for i, other in enumerate(subjects[1:], start=1):
        found = metric_differences(subjects[0], other)
        if not found:
            continue
        echo("", f"metrics of {letters[i]} minus A, with 95 % intervals")
        table = [("task", "method", "metric", "of", "A", letters[i], "difference", "interval", "")]
        for one in found:
            task, method, metric, floor = one.key
            a, b = subjects[0].metrics[one.key], other.metrics[one.key]
            verdict = "larger than its uncertainty" if one.certain else "within its uncertainty"
            pairing = "" if one.paired else "; other test cases"
            table.append((
                task, method, metric, floor or "encoder", f"{a.value:.3f}", f"{b.value:.3f}",
                f"{one.value:+.3f}", f"{one.low:+.3f} - {one.high:+.3f}", verdict + pairing,
            ))  # fmt: skip
        echo(*text_table(table).split("\n"))


def _text(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.6g}"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _as_json(
    subjects: Sequence[Subject], settings: dict[str, list[Any]], figures: dict[str, list[Any]]
) -> dict[str, Any]:
    from caco_data.evaluation.compare import metric_differences

    return {
        "subjects": [{"path": one.path, "kind": one.kind} for one in subjects],
        "settings": settings,
        "figures": figures,
        "differences": [
            {
                "first": subjects[0].path, "other": other.path, "task": one.key[0],
                "method": one.key[1], "metric": one.key[2], "of": one.key[3] or "encoder",
                "value": one.value, "low": one.low, "high": one.high, "paired": one.paired,
                "certain": one.certain,
            }
            for other in subjects[1:]
            for one in metric_differences(subjects[0], other)
        ],
    }  # fmt: skip
