"""Settings of the simulated archive."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from caco_data.settings_fields import setting
from caco_data.sources.limiter import Limiter

if TYPE_CHECKING:
    from caco_data.sources.simulated.source import SimulatedSource


@dataclass(frozen=True)
class SimulatedSettings:
    """Settings of the simulated archive."""

    seed: int = setting(
        0,
        "Seed of the simulated land, changes and weather.",
        option="archive-seed",
        minimum=0,
        maximum=2**32 - 1,
    )
    truth_masks: bool = setting(
        False,
        "Write the kind of permanent change of each pixel to truth.parquet.",
        switch=True,
        shown_default="off",
    )
    name: str = "simulated"
    collection: str = "simulated Sentinel-2 L2A (caco-data), version 2"

    @property
    def computes(self) -> bool:
        """See `SourceSettings`."""
        return True

    def record(self) -> dict[str, Any]:
        """Return the settings that decide the images and the ground truth."""
        return {"seed": self.seed} | ({"truth_masks": True} if self.truth_masks else {})

    def open(self, limiter: Limiter | None = None) -> SimulatedSource:
        """Open the archive."""
        from caco_data.sources.simulated.source import SimulatedSource

        return SimulatedSource(self.seed, limiter or Limiter(), self.truth_masks)
