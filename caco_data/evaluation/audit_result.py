"""Result of an audit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

#: An AUROC this far from 0.5 is a difference.
TOLERANCE = 0.05

Verdict = Literal["tells early from late", "does not", "undecided", "unknown"]


@dataclass(frozen=True)
class Statistic:
    """How well one statistic tells late tiles from early ones."""

    name: str
    band: str
    """Empty for metadata."""
    meaning: str
    pairs: int
    """Pairs with known values."""
    early: float
    """Median of the early tiles; as the others, NaN when unknown."""
    late: float
    """Median of the late tiles."""
    difference: float
    """Median of late minus early within the pairs."""
    auroc: float
    """Probability that the late tile of a pair has the higher value."""
    ci_lower: float
    """Bounds of the 95 % bootstrap interval."""
    ci_upper: float
    verdict: Verdict

    @property
    def in_pixels(self) -> bool:
        """Whether an encoder can see it; it cannot see metadata."""
        return bool(self.band)

    @property
    def tells(self) -> bool:
        """Whether it tells early from late."""
        return self.verdict == "tells early from late"


@dataclass(frozen=True)
class Audit:
    """Result of an audit."""

    locations: int
    choice: str
    """How the locations were chosen."""
    pairs: int
    statistics: tuple[Statistic, ...]
    needed: int
    """Locations for intervals of 0.025 to each side."""
    causes: tuple[str, ...]
    """Likely causes of the differences."""
    files: tuple[str, ...]

    @property
    def found(self) -> tuple[Statistic, ...]:
        """Statistics of the pixels that tell early from late."""
        return tuple(one for one in self.statistics if one.in_pixels and one.tells)
