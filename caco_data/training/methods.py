"""Pretraining methods: their views and negatives (paper, sections 3.2 and 3.3).

Tiles t0, t1 and t2 are three dates of one period. SeCo, TeCo and CACo embed into three subspaces,
one head each: head 0 is invariant to season and augmentation, head 1 to season only, head 2 to
augmentation only. Key view i is the positive of head i.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from caco_data.errors import InputError
from caco_data.training.settings import MethodName
from caco_data.types import StackLayout


class View(NamedTuple):
    """An image to embed; each view has its own random crop."""

    tile: int
    """Index of the date: 0, 1 or 2."""
    augmented: bool
    """Whether colour, blur and flip are augmented in addition to the crop."""


@dataclass(frozen=True)
class Method:
    """Views and negatives of a method."""

    query: View
    """View of the query."""
    keys: tuple[View, ...]
    """View of the positive key, per head."""
    queue: Literal["own period", "all"]
    """Keys of the queue that are negatives of a row: those of its own period, or all."""
    other_period: Literal["none", "all", "changed"]
    """Keys of the batch's other period that are negatives of a row: `changed` excludes the key of
    the row's own location unless that location is labelled changed."""

    @property
    def heads(self) -> int:
        """Number of heads, one per embedding subspace."""
        return len(self.keys)

    @property
    def tiles(self) -> int:
        """Number of dates per period that a step reads."""
        return 1 + max(view.tile for view in (self.query, *self.keys))

    @property
    def estimates_change(self) -> bool:
        """Whether the method requires change labels."""
        return self.other_period == "changed"

    @property
    def periods(self) -> int:
        """Number of periods that the method needs."""
        return 1 if self.other_period == "none" else 2

    def fits(self, layout: StackLayout) -> bool:
        """Whether data sets of a layout have enough periods and tiles."""
        return layout.tiles >= self.tiles and len(layout.periods) >= self.periods


_SEASONAL = (View(1, True), View(2, False), View(0, True))

METHODS: dict[MethodName, Method] = {
    # One head. moco: two augmentations of one image (Chen et al. 2020); moco-tp: of two dates
    # ("temporal positives", Manas et al. 2021).
    "moco": Method(View(0, True), (View(0, True),), queue="all", other_period="none"),
    "moco-tp": Method(View(0, True), (View(1, True),), queue="all", other_period="none"),
    "seco": Method(View(0, False), _SEASONAL, queue="all", other_period="none"),
    "teco": Method(View(0, False), _SEASONAL, queue="own period", other_period="all"),
    "caco": Method(View(0, False), _SEASONAL, queue="own period", other_period="changed"),
}


def check_method(name: MethodName, layout: StackLayout, where: str) -> None:
    """Check that a data set has the periods and tiles that a method needs.

    Raises
    ------
    InputError
        When it has fewer; names the methods for which it has enough.
    """
    method = METHODS[name]
    if method.fits(layout):
        return
    fitting = [other for other, one in METHODS.items() if one.fits(layout)]
    raise InputError(
        f"The method {name} needs {_count(method.periods, 'period')} of "
        f"{_count(method.tiles, 'tile')}, the data set has "
        f"{_count(len(layout.periods), 'period')} of {_count(layout.tiles, 'tile')}",
        where,
        f"Use --method {' or '.join(fitting)}",
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + "s" * (number != 1)
