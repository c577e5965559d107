"""`--config FILE.toml`: a section a command, a key an option; the command line wins."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from caco_data.errors import InputError


def load(path: str, commands: Iterable[click.Command]) -> dict[str, dict[str, Any]]:
    """Read a settings file as click's default map.

    Raises
    ------
    InputError
        When it cannot be read, or names a command or an option that does not exist.
    """
    try:
        content = tomllib.loads(Path(path).read_text())
    except OSError as error:
        raise InputError(f"Cannot read the settings: {error.strerror}", path) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"Not a TOML file: {error}", path) from error
    known = {command.name: _options(command) for command in commands}
    defaults: dict[str, dict[str, Any]] = {}
    for section, values in content.items():
        if section not in known or not isinstance(values, dict):
            raise InputError(f"No command '{section}'", path, "A section is named as its command")
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
    """Names of a command's parameters by what a user calls them."""
    names = {}
    for parameter in command.params:
        for option in parameter.opts:
            names[option.lstrip("-")] = parameter.name or ""
    return names
