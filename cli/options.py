"""Options derived from settings dataclasses, and helpers used by several commands."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args, get_origin

import click
from click.core import ParameterSource

from caco_data.errors import InputError
from caco_data.settings_fields import SettingField, check_limits, setting_fields

from .output import echo
from .types import BANDS, COUNT, DURATION

if TYPE_CHECKING:
    from caco_data.storage import Storage

S = TypeVar("S")
Command = TypeVar("Command", bound=Callable[..., Any])

#: Placeholders of numbers, instead of click's "INTEGER RANGE", which suggests that a range is
#: expected.
_METAVARS: dict[Any, str] = {int: "INTEGER", float: "FLOAT"}


def check_place(ctx: click.Context, param: click.Parameter, value: Any) -> Any:
    """Callback of options and arguments that are folders or URLs: refuse memory://."""
    for place in (value,) if isinstance(value, str) else value or ():
        if place.startswith("memory:"):
            raise InputError(
                "Files in memory end with this command",
                place,
                "Use a folder, s3://BUCKET/FOLDER or gs://BUCKET/FOLDER",
            )
    return value


dataset_argument = click.argument(
    "dataset", default="dataset", metavar="[DATASET]", callback=check_place
)


def options_of(*settings: type) -> Callable[[Command], Command]:
    """Add one option for each field that was made by `setting`, in the order of the fields."""
    # Sources may share an option, such as the timeout.
    by_option = {field.option: field for kind in settings for field in setting_fields(kind)}

    def decorate(command: Command) -> Command:
        for one in reversed(by_option.values()):
            command = _option(one)(command)
        return command

    return decorate


def settings_from(kind: type[S], values: Mapping[str, Any], **others: Any) -> S:
    """Build a settings object from the values of its options.

    Parameters
    ----------
    kind : type
        A dataclass passed to `options_of`.
    values : mapping
        Values by parameter name; may include those of other options.
    **others
        Fields without an option, and values that replace those of the options.

    Raises
    ------
    InputError
        For a value outside its limits, such as NaN.
    """
    chosen = {
        field.name: values[parameter(field)]
        for field in setting_fields(kind)
        # A switch that was not used has the default of its field.
        if field.name not in others
        and not (field.about.switch and values[parameter(field)] is None)
    }
    settings = kind(**chosen, **others)
    check_limits(settings)
    return settings


def parameter(field: SettingField) -> str:
    """Name of a field's option among the parameters of a command."""
    return field.option.replace("-", "_")


def _option(field: SettingField) -> Callable[[Command], Command]:
    name, about = f"--{field.option}", field.about
    if about.switch:
        names = f"{name}/--no-{field.option}"
        return click.option(
            names, default=None, help=about.help, show_default=about.shown_default or True
        )
    if field.kind is bool:
        return click.option(name, is_flag=True, default=field.default, help=about.help)
    return click.option(
        name,
        type=_type(field),
        default=field.default,
        help=about.help,
        metavar=about.metavar
        or (None if about.count or about.duration else _METAVARS.get(field.kind)),
        show_default=about.shown_default or True,
        envvar=about.envvar,
        show_envvar=about.envvar is not None,
    )


def _type(field: SettingField) -> click.ParamType:  # type: ignore[type-arg]
    about = field.about
    if get_origin(field.kind) is Literal:
        return click.Choice(get_args(field.kind))
    if field.kind == tuple[str, ...]:
        return BANDS
    if field.kind is int and about.count:
        return COUNT
    if about.duration:
        return DURATION
    if field.kind is int:
        return click.IntRange(about.minimum, about.maximum, about.above_minimum)  # type: ignore[arg-type]
    if field.kind is float:
        return click.FloatRange(about.minimum, about.maximum, about.above_minimum)
    if field.kind is str:
        return click.STRING
    raise TypeError(f"no option type for {field.name}: {field.kind}")


class GroupedCommand(click.Command):
    """A command whose help lists the options under headings.

    Parameters
    ----------
    headings : mapping
        Heading by the name of the first parameter below it, in the order of the help; "Options" is
        always the first.
    """

    def __init__(self, *args: Any, headings: Mapping[str, str], **extra: Any) -> None:
        super().__init__(*args, **extra)
        self.headings = headings

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, one section per heading."""
        sections: dict[str, list[tuple[str, str]]] = {"Options": []}
        sections |= {heading: [] for heading in self.headings.values()}
        heading = "Options"
        for param in self.get_params(ctx):
            heading = self.headings.get(param.name or "", heading)
            record = param.get_help_record(ctx)
            if record is not None:
                sections[heading].append(record)
        for heading, records in sections.items():
            if records:
                with formatter.section(heading):
                    formatter.write_dl(records)


def is_default(ctx: click.Context, name: str) -> bool:
    """Whether neither the command line, the environment nor `--config` sets a parameter."""
    return ctx.get_parameter_source(name) is ParameterSource.DEFAULT


def is_quiet(ctx: click.Context) -> bool:
    """Whether `caco-data --quiet` is set."""
    return bool(ctx.find_root().params.get("quiet"))


def print_leftovers(storage: Storage) -> None:
    """Print a note on stderr for every file that a running or killed command left in a data set."""
    from caco_data.dataset.leftovers import leftovers

    if not is_quiet(click.get_current_context()):
        for name, what in leftovers(storage).items():
            echo(f"note: {storage.root}/{name}: {what}", err=True)


#: Packages of the extra [train].
_EXTRA = ("torch", "lightning", "sklearn", "safetensors", "tensorboard")


def require_extra() -> None:
    """Raise InputError when packages needed for training are not installed."""
    missing = [name for name in _EXTRA if importlib.util.find_spec(name) is None]
    if missing:
        raise InputError(
            f"Training needs packages that are not installed: {', '.join(missing)}",
            "extra [train]",
            "Run: pip install 'caco-data[train]'",
        )
