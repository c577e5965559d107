"""Options of the commands and the settings fields from which they are derived."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from caco_data.download.settings import (
    ClusterSettings,
    DownloadSettings,
    FetchSettings,
    SceneSettings,
)
from caco_data.sampling.settings import SampleSettings
from caco_data.settings_fields import setting, setting_fields
from caco_data.sources.earthengine.settings import EarthEngineSettings
from caco_data.sources.retry import RetryPolicy
from caco_data.sources.simulated.settings import SimulatedSettings
from caco_data.sources.stac.settings import StacSettings
from caco_data.training.settings import TrainSettings
from cli.options import GroupedCommand, options_of, parameter, settings_from
from tests.conftest import Run
from tests.test_settings_fields import Flight

#: Settings classes of each command, and its options that no settings field describes.
COMMANDS: dict[str, tuple[tuple[type, ...], set[str]]] = {
    "sample": ((SampleSettings,), {"n", "out", "overwrite", "map_path"}),
    "download": (
        (
            EarthEngineSettings, StacSettings, SimulatedSettings, SceneSettings, FetchSettings,
            DownloadSettings, ClusterSettings, RetryPolicy,
        ),
        {
            "locations", "out", "source", "start", "min_complete", "dry_run", "reject_failing",
            "json_log", "limit", "preset", "months", "dates",
        },
    ),
    "train": ((TrainSettings,), {"preset"}),
    "doctor": ((EarthEngineSettings, StacSettings), {"source", "out", "as_json"}),
}  # fmt: skip
#: Options of several sources.
SHARED = {"deadline"}
#: Fields without a default, and a value for each.
OTHERS: dict[type, dict[str, Any]] = {
    FetchSettings: {"scenes": SceneSettings()},
    DownloadSettings: {"source": SimulatedSettings(), "fetch": FetchSettings(SceneSettings())},
}


def commands() -> dict[str, click.Command]:
    (script,) = entry_points(group="console_scripts", name="caco-data")
    found: dict[str, click.Command] = script.load().commands
    return found


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_a_settings_field_or_listed_here(name: str) -> None:
    kinds, others = COMMANDS[name]
    fields = [parameter(field) for kind in kinds for field in setting_fields(kind)]
    assert {name for name in fields if fields.count(name) > 1} <= SHARED
    assert {param.name for param in commands()[name].params} == set(fields) | others


@pytest.mark.parametrize("name", COMMANDS)
def test_defaults_and_help_are_those_of_the_fields(name: str) -> None:
    command = commands()[name]
    arguments = ["--n", "1"] if name == "sample" else []
    values = command.make_context(name, arguments).params
    by_name = {param.name: param for param in command.params}
    for kind in COMMANDS[name][0]:
        others = OTHERS.get(kind, {})
        assert settings_from(kind, values, **others) == kind(**others)
        for field in setting_fields(kind):
            option = by_name[parameter(field)]
            assert isinstance(option, click.Option)
            assert option.help == field.about.help


def test_every_help_text_is_a_sentence() -> None:
    for command in commands().values():
        for param in command.params:
            if isinstance(param, click.Option):
                assert param.help, param
                assert param.help.endswith("."), param


def fly(*arguments: object) -> tuple[Flight | None, Result]:
    """Run a command whose options are those of `Flight`."""
    seen: list[Flight] = []

    @click.command(cls=GroupedCommand, headings={"height": "Limits"})
    @click.option("--where", default="here", help="Place.")
    @options_of(Flight)
    def command(where: str, **values: Any) -> None:
        seen.append(settings_from(Flight, values, operator=where))

    result = CliRunner().invoke(command, [str(one) for one in arguments])
    return (seen[0] if seen else None), result


def test_a_dataclass_becomes_options_and_back(monkeypatch: pytest.MonkeyPatch) -> None:
    assert fly()[0] == Flight(operator="here")
    monkeypatch.setenv("PILOT", "Ada")
    made, result = fly(
        "--camera", "nir", "--images", "2.5k", "--flight-lines", 3, "--height", 80,
        "--sensor", "radar", "--bands", "b8,B4", "--night", "--where", "there",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert made == Flight("nir", "Ada", 2_500, 3, 80.0, "radar", ("B8", "B4"), True, "there")


def test_help_shows_defaults_limits_and_headings() -> None:
    text = fly("--help")[1].output
    for words in (
        "--camera NAME", "(autopilot)", "env var: PILOT", "--images COUNT", "[default: 10000]",
        "--flight-lines INTEGER", "[x>=2]", "--height FLOAT", "0<x<=150", "[optical|radar]",
        "\nOptions:\n", "\nLimits:\n",
    ):  # fmt: skip
        assert words in text
    assert "--operator" not in text
    assert text.index("--camera") < text.index("Limits:") < text.index("--height")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--images", 0), "--images"),
        (("--flight-lines", 1), "--flight-lines"),
        (("--height", 0), "--height"),
        (("--height", 151), "--height"),
        (("--sensor", "sonar"), "--sensor"),
        (("--bands", "B10"), "B10"),
    ],
)
def test_wrong_values_are_refused(arguments: tuple[object, ...], words: str) -> None:
    made, result = fly(*arguments)
    assert made is None
    assert result.exit_code == 2
    assert words in result.output


def test_nan_is_refused(run: Run) -> None:
    result = run("doctor", "--deadline", "nan")
    assert result.exit_code == 2
    assert "--deadline nan" in result.stderr


def test_an_unsupported_type_is_an_error() -> None:
    @dataclass(frozen=True)
    class Odd:
        value: complex = setting(1j, "Complex.")

    with pytest.raises(TypeError, match="value"):
        options_of(Odd)(lambda: None)
