"""`caco-data doctor`: what is wrong here, and what to do about it."""

from __future__ import annotations

import json

import click

from .options import earthengine_options

COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}


@click.command("doctor")
@earthengine_options
@click.option("--out", default="dataset", show_default=True, help="Where a data set would go.")
@click.option("--json", "as_json", is_flag=True, help="A JSON object a line.")
def command(
    project: str | None, ee_url: str | None, key_file: str | None, out: str, as_json: bool
) -> None:
    """Check packages, GDAL, credentials, project, network and disk; say what to do.

    \b
    caco-data doctor --project my-project
    caco-data doctor --ee-url http://127.0.0.1:8080
    """
    from dataclasses import asdict

    from caco_data.download.doctor import check
    from caco_data.errors import SetupError
    from caco_data.sources.earthengine.endpoint import HIGH_VOLUME
    from caco_data.sources.earthengine.settings import EarthEngineSettings

    failed = []
    for one in check(EarthEngineSettings(project, ee_url or HIGH_VOLUME, key_file), out):
        if one.state == "fail":
            failed.append(one.name)
        if as_json:
            click.echo(json.dumps(asdict(one)))
            continue
        word = click.style(f"{one.state:<5}", fg=COLOURS[one.state])
        click.echo(f"{word}{one.name:<14}{one.found}")
        if one.remedy:
            click.echo(f"{'':19}{one.remedy}.")
    if failed:
        raise SetupError(f"{len(failed)} checks failed", ", ".join(failed), "See above")
