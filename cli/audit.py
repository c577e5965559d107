"""`caco-data audit`: whether cheap statistics tell the early tiles of a data set from the late."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from caco_data.evaluation.settings import AuditSettings

from .evaluate import EvaluateDisplay
from .options import dataset_argument, is_quiet, options_of, settings_from
from .output import echo
from .render import plural, text_table

if TYPE_CHECKING:
    from caco_data.evaluation.audit_result import Audit, Statistic


@click.command("audit")
@dataset_argument
@options_of(AuditSettings)
@click.pass_context
def command(ctx: click.Context, /, dataset: str, **values: Any) -> None:
    """Audit a data set: whether early tiles differ from late ones where nothing changed.

    For every cheap statistic of the pixels and for the metadata: the AUROC with which it tells the
    late tile of a slot from the early one, with a 95 % interval and a verdict. Exit code 1 when a
    statistic of the pixels does. docs/evaluation.md describes the figures.

    \b
    caco-data audit dataset --out audit
    """
    from caco_data.errors import AuditError
    from caco_data.evaluation.audit import audit

    settings = settings_from(AuditSettings, values)
    display = EvaluateDisplay(is_quiet(ctx))
    try:
        found = audit(dataset, settings, display)
    finally:
        display.close()
    print_audit(found)
    if found.found:
        count = len(found.found)
        verb = "statistic tells" if count == 1 else "statistics tell"
        remedy = found.causes[0] if found.causes else ""
        raise AuditError(f"{count} {verb} early from late", dataset, f"Likely cause: {remedy}")


def print_audit(found: Audit) -> None:
    """Print the table, the verdict and the files; notes go to stderr."""
    rows: list[tuple[str, ...]] = [
        ("statistic", "band", "early", "late", "AUROC", "95 % interval", "verdict")
    ]
    rows += [_row(one) for one in found.statistics]
    echo(*text_table(rows).split("\n"))
    echo(f"note: locations: {found.choice}; {found.pairs} pairs", err=True)
    undecided = sum(one.in_pixels and one.verdict == "undecided" for one in found.statistics)
    if undecided:
        echo(
            f"note: {plural(undecided, 'statistic')} undecided: about {found.needed:,} unchanged "
            "locations are needed",
            err=True,
        )
    for cause in found.causes:
        echo(f"note: likely cause: {cause}", err=True)
    for file in found.files:
        echo(file)


def _row(one: Statistic) -> tuple[str, ...]:
    verdict = "differs, not visible in pixels" if one.tells and not one.in_pixels else one.verdict
    if one.verdict == "unknown":
        return one.name, "-", "", "", "", "", verdict
    bounds = f"{one.ci_lower:.3f} - {one.ci_upper:.3f}"
    values = (_number(one.early), _number(one.late))
    return one.name, one.band or "-", *values, f"{one.auroc:.3f}", bounds, verdict


def _number(value: float) -> str:
    """A number of four digits, without an exponent."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
