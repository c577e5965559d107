"""`caco-data doctor`: checks of the installation, with remedies."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import click

from caco_data.errors import SetupError
from caco_data.sources.base import SourceSettings
from caco_data.sources.earthengine.settings import EarthEngineSettings
from caco_data.sources.stac.settings import StacSettings

from .options import options_of, settings_from
from .output import echo

_SOURCES: dict[str, type[SourceSettings]] = {
    "earthengine": EarthEngineSettings,
    "stac": StacSettings,
}
COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}


@click.command("doctor")
@click.option(
    "--source",
    type=click.Choice(list(_SOURCES)),
    default="earthengine",
    show_default=True,
    help="Image archive to check.",
)
@options_of(EarthEngineSettings, StacSettings)
@click.option(
    "--out",
    default="dataset",
    show_default=True,
    metavar="FOLDER",
    help="Folder where a data set would be written.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per check.")
def command(source: str, out: str, as_json: bool, **values: Any) -> None:
    """Check packages, credentials, network and disk.

    Each failed check is printed with its remedy. With --source stac: the API, the header of one
    file, and one block of it.

    \b
    caco-data doctor --project my-project
    caco-data doctor --source stac
    """
    from caco_data.download.doctor import check

    failed = []
    for result in check(settings_from(_SOURCES[source], values), out):
        if result.state == "fail":
            failed.append(result.name)
        if as_json:
            echo(json.dumps(asdict(result)))
            continue
        state = click.style(f"{result.state:<5}", fg=COLOURS[result.state])
        echo(f"{result.name:<14}{result.found}", prefix=state)
        if result.remedy:
            echo(f"{'':19}{result.remedy}.")
    if failed:
        count = f"{len(failed)} check{'s' if len(failed) > 1 else ''} failed"
        raise SetupError(count, ", ".join(failed), "See the remedies above")
