"""The methods: which views are made, and which negatives count (paper, sections 3.2 and 3.3).

Tiles t0, t1, t2 are three dates of one period. SeCo, and what the paper builds on it, embed into
three subspaces by three heads: 0 invariant to season and augmentation, 1 to season only, 2 to
augmentation only. Key view i is what head i must find.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from caco_data.training.settings import MethodName


class View(NamedTuple):
    """An image to embed; each is cropped on its own."""

    tile: int
    """Which of the dates."""
    augmented: bool
    """Whether it is recoloured, blurred and flipped besides."""


@dataclass(frozen=True)
class Method:
    """Views and negatives of a method."""

    query: View
    keys: tuple[View, ...]
    """A view a head."""
    queue: Literal["own period", "all"]
    """Which of the earlier keys a row sees."""
    other_period: Literal["none", "all", "changed"]
    """Which keys of the batch's other period a row sees: `changed` leaves out its own location's
    unless that one is labelled changed."""

    @property
    def heads(self) -> int:
        """Embedding subspaces."""
        return len(self.keys)

    @property
    def tiles(self) -> int:
        """Dates of a period that a step needs."""
        return 1 + max(view.tile for view in (self.query, *self.keys))

    @property
    def estimates_change(self) -> bool:
        """Whether the method needs change labels."""
        return self.other_period == "changed"


_SEASONAL = (View(1, True), View(2, False), View(0, True))

METHODS: dict[MethodName, Method] = {
    # One head: two augmentations of one image (Chen et al. 2020); of two dates ("temporal
    # positives", Manas et al. 2021).
    "moco": Method(View(0, True), (View(0, True),), queue="all", other_period="none"),
    "moco-tp": Method(View(0, True), (View(1, True),), queue="all", other_period="none"),
    "seco": Method(View(0, False), _SEASONAL, queue="all", other_period="none"),
    "teco": Method(View(0, False), _SEASONAL, queue="own period", other_period="all"),
    "caco": Method(View(0, False), _SEASONAL, queue="own period", other_period="changed"),
}
