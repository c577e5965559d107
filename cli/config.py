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
            defaults[section][names[key]] = value
    return defaults


def _options(command: click.Command) -> dict[str, str]:
    """Parameter names of a command by option or argument name."""
    names = {}
    for parameter in command.params:
        for option in parameter.opts:
            names[option.lstrip("-")] = parameter.name or ""
    return names
