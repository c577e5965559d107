"""Options and parameter types that several commands share."""

from __future__ import annotations

import importlib.util
import math
import re
from collections.abc import Callable
from typing import Any

import click

_SUFFIX = {"": 1, "k": 1_000, "m": 1_000_000}


class Count(click.ParamType):  # type: ignore[type-arg]
    """A positive whole number that may end in k or m: `100000`, `100k`, `2.5k`, `1m`."""

    name = "count"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        """Parse, or fail naming the accepted forms."""
        if isinstance(value, int):
            return value
        match = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([km]?)\s*", str(value).lower())
        number = float(match[1]) * _SUFFIX[match[2]] if match else math.nan
        if not (number >= 1 and number == round(number)):
            self.fail(f"{value!r} is not a positive whole number (100000, 100k, 2.5k, 1m)",
                      param, ctx)  # fmt: skip
        return round(number)


COUNT = Count()


class Bands(click.ParamType):  # type: ignore[type-arg]
    """`rgb`, `all`, or a list of L2A band names, in the wanted order."""

    name = "bands"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        """Parse, or fail naming the bands there are."""
        from caco_data.sentinel2 import ALL_BANDS, RGB_BANDS

        if isinstance(value, tuple):
            return value
        text = str(value)
        if text.lower() in ("rgb", "all"):
            return RGB_BANDS if text.lower() == "rgb" else ALL_BANDS
        bands = tuple(part.strip().upper() for part in text.split(","))
        bad = [band for band in bands if band not in ALL_BANDS]
        if bad:
            self.fail(f"no band {bad[0]!r}; there are {', '.join(ALL_BANDS)}", param, ctx)
        if len(set(bands)) < len(bands):
            self.fail(f"{text!r} names a band twice", param, ctx)
        return bands


dataset_argument = click.argument("dataset", default="dataset", metavar="[DATASET]")


def earthengine_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say how to reach Earth Engine: `project`, `ee_url`, `key_file`."""
    for option in (
        click.option(
            "--service-account",
            "key_file",
            metavar="KEY.json",
            help="Service-account key for Earth Engine.  [default: the credentials of "
            "'earthengine authenticate', or Google's application default]",
        ),
        click.option(
            "--ee-url",
            metavar="URL",
            help="Another Earth Engine endpoint; one that is not Google's gets no credentials.",
        ),
        click.option(
            "--project",
            envvar="EARTHENGINE_PROJECT",
            show_envvar=True,
            help="Cloud project whose Earth Engine quota is used.",
        ),
    ):
        command = option(command)
    return command


_EXTRA = ("torch", "lightning", "sklearn", "safetensors", "tensorboard")


def require_extra() -> None:
    """Say how to install what only training needs, before anything is begun."""
    from caco_data.errors import InputError

    missing = [name for name in _EXTRA if importlib.util.find_spec(name) is None]
    if missing:
        raise InputError(
            f"Training needs packages that are not installed: {', '.join(missing)}",
            "extra [train]",
            "Run: pip install 'caco-data[train]'",
        )
