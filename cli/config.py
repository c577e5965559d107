"""`--config FILE.toml`: one section per command, one key per option.

The section of a task is `[evaluate.eurosat]`. Options on the command line take precedence.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from caco_data.errors import InputError


def load(path: str, commands: Iterable[click.Command]) -> dict[str, dict[str, Any]]:
    """Read a settings file as the `default_map` of click.

    Raises
    ------
    InputError
        When the file cannot be read, or contains an unknown command or option.
    """
    try:
        content = tomllib.loads(Path(path).read_text())
    except OSError as error:
        raise InputError(f"Cannot read the settings file: {error.strerror}", path) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"Not a TOML file: {error}", path) from error
    return _defaults(content, commands, path)


def _defaults(
    content: dict[str, Any], commands: Iterable[click.Command], path: str, group: str = ""
) -> dict[str, dict[str, Any]]:
    """Values by command and parameter name; those of a group by the name of its command first."""
    known = {command.name: command for command in commands}
    defaults: dict[str, dict[str, Any]] = {}
    for section, values in content.items():
        command = known.get(section)
        if command is None or not isinstance(values, dict):
            raise InputError(
                f"No command '{group}{section}'", path, "Name each section after a command"
            )
        if isinstance(command, click.Group):
            inner = command.commands.values()
            defaults[section] = _defaults(values, inner, path, f"{group}{section} ")
            continue
        names = _options(command)
        defaults[section] = {}
        for key, value in values.items():
            if key not in names:
                raise InputError(
                    f"'{group}{section}' has no option '{key}'",
                    path,
                    f"See 'caco-data {group}{section} --help'",
                )
            parameter = names[key]
            try:
                defaults[section][parameter.name or ""] = _value(parameter, value)
            except click.BadParameter as error:
                raise InputError(
                    f"Invalid value of '{key}' in [{group}{section}]: {error.message}",
                    path,
                    f"See 'caco-data {group}{section} --help'",
                ) from None
    return defaults


def _options(command: click.Command) -> dict[str, click.Parameter]:
    """Parameters of a command by option or argument name."""
    return {
        option.lstrip("-"): parameter for parameter in command.params for option in parameter.opts
    }


def _value(parameter: click.Parameter, value: Any) -> Any:
    """Check a value; a list becomes text, except for repeated options and arguments.

    click itself accepts 1.5 as a whole number and 1 as a switch.
    """
    if parameter.nargs == -1 and not isinstance(value, list):
        value = [value]
    if isinstance(value, list) and not (parameter.multiple or parameter.nargs == -1):
        value = ",".join(map(str, value))
    kind = parameter.type
    for one in value if isinstance(value, list) else [value]:
        if isinstance(kind, click.types.BoolParamType):
            if not isinstance(one, bool):
                raise click.BadParameter(f"{one!r} is not true or false")
        elif isinstance(one, bool | dict) or (
            isinstance(kind, click.types.IntParamType) and isinstance(one, float)
        ):
            raise click.BadParameter(f"{one!r} is not a valid {kind.name}")
        else:
            kind.convert(one, parameter, None)
    return value
