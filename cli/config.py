"""`--config FILE.toml`: one section per command, one key per option.

Options on the command line take precedence.
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
    known = {command.name: _options(command) for command in commands}
    defaults: dict[str, dict[str, Any]] = {}
    for section, values in content.items():
        if section not in known or not isinstance(values, dict):
            raise InputError(f"No command '{section}'", path, "Name each section after a command")
        defaults[section] = {}
        for key, value in values.items():
            name = known[section].get(key)
            if name is None:
                raise InputError(
                    f"'{section}' has no option '{key}'", path, f"See 'caco-data {section} --help'"
                )
            defaults[section][name] = value
    return defaults


def _options(command: click.Command) -> dict[str, str]:
    """Parameter names of a command by option or argument name."""
    names = {}
    for parameter in command.params:
        for option in parameter.opts:
            names[option.lstrip("-")] = parameter.name or ""
    return names
