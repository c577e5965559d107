"""Dataclass fields with a help text, limits and an option name.

`cli/options.py` derives the command-line options from them, so that every default, choice, limit
and help text is written once. Imports the standard library only.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from types import NoneType
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from caco_data.errors import InputError

T = TypeVar("T")
_KEY = "setting"


@dataclass(frozen=True, slots=True)
class Setting:
    """Description of a settings field; its type and default are those of the field."""

    help: str
    """Meaning and unit, as shown by `--help`."""
    option: str = ""
    """Option name without leading dashes; if empty, that of the field."""
    minimum: float | None = None
    maximum: float | None = None
    above_minimum: bool = False
    """The value must exceed `minimum`."""
    count: bool = False
    """A positive whole number that may be written as 100k or 2.5m."""
    duration: bool = False
    """A number of seconds that may be written with a unit, `10m`."""
    switch: bool = False
    """Whether a yes-no option has a form with `--no-`; its value is None when neither is used."""
    metavar: str | None = None
    """Placeholder of the value in the help; if None, that of the type."""
    shown_default: str | None = None
    """Text shown instead of the default."""
    envvar: str | None = None
    """Environment variable that sets the option."""

    @property
    def limits(self) -> str:
        """The limits in words, `at least 0 and at most 100`."""
        lower = "above" if self.above_minimum else "at least"
        limits = ((lower, self.minimum), ("at most", self.maximum))
        return " and ".join(f"{words} {limit:,}" for words, limit in limits if limit is not None)

    def permits(self, value: float) -> bool:
        """Whether a number is within the limits; NaN never is."""
        low = -math.inf if self.minimum is None else self.minimum
        high = math.inf if self.maximum is None else self.maximum
        return low <= value <= high and not (self.above_minimum and value == low)


@dataclass(frozen=True, slots=True)
class SettingField:
    """A field made by `setting`."""

    name: str
    kind: Any
    """Annotated type, without None."""
    default: Any
    about: Setting

    @property
    def option(self) -> str:
        """Name of the option, `max-cloud`."""
        return self.about.option or self.name.replace("_", "-")


def setting(default: T, help: str, **about: Any) -> T:
    """Make a dataclass field that becomes a command-line option.

    Parameters
    ----------
    default
        Default of the field and of the option.
    help : str
        Help text.
    **about
        Further attributes of `Setting`.
    """
    if about.get("count"):
        about.setdefault("minimum", 1)
    return field(default=default, metadata={_KEY: Setting(help, **about)})


def setting_fields(settings: type) -> Iterator[SettingField]:
    """Yield the fields of a dataclass that were made by `setting`, in their order."""
    types = get_type_hints(settings)
    for one in fields(settings):
        if _KEY in one.metadata:
            kinds = [kind for kind in get_args(types[one.name]) if kind is not NoneType]
            optional = NoneType in get_args(types[one.name])
            kind = kinds[0] if optional else types[one.name]
            yield SettingField(one.name, kind, one.default, one.metadata[_KEY])


def option_names(*settings: type) -> dict[str, str]:
    """Option of each field of dataclasses, `--max-cloud` by `max_cloud_pct`."""
    return {one.name: f"--{one.option}" for each in settings for one in setting_fields(each)}


def check_limits(settings: object) -> None:
    """Compare the values of a dataclass with the limits and choices of their fields.

    Raises
    ------
    InputError
        For the first value that is not permitted.
    """
    for one in setting_fields(type(settings)):
        value = getattr(settings, one.name)
        if value is None:
            continue
        if get_origin(one.kind) is Literal and value not in get_args(one.kind):
            choices = ", ".join(get_args(one.kind))
            raise InputError("Unknown choice", f"--{one.option} {value}", f"Use one of {choices}")
        if one.kind in (int, float) and not one.about.permits(value):
            number = f"{value:g}" if isinstance(value, float) else value
            raise InputError(
                f"The value must be {one.about.limits or 'a number'}", f"--{one.option} {number}"
            )
