"""Time designs of published data sets, as values of the settings, with their sources."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import Any, Literal

PresetName = Literal["caco", "seco", "ssl4eo", "pair"]


@dataclass(frozen=True)
class Preset:
    """A time design."""

    summary: str
    """What it is, for help texts."""
    source: str
    """Where its numbers are from."""
    values: dict[str, Any] = field(default_factory=dict)
    """Fields of `SceneSettings` that differ from the defaults."""


PRESETS: dict[PresetName, Preset] = {
    "caco": Preset(
        "two periods of a year, four years apart, with five tiles each",
        "Mall, Hariharan, Bala, CVPR 2023, section 3.3; five images per period in the released "
        "data set",
    ),
    "seco": Preset(
        "five tiles in one year",
        "Manas, Lacoste, Giro-i-Nieto, Vazquez, Rodriguez, ICCV 2021: five images per location "
        "from one year",
        {"periods": 1, "tiles_per_period": 5, "period_months": 12},
    ),
    "ssl4eo": Preset(
        "one tile of each season of 2021",
        "Wang, Braham, Xiong, Liu, Albrecht, Zhu, 2023 (SSL4EO-S12): four images per location, "
        "around 20 March, 21 June, 22 September and 21 December 2021. The middles of the slots "
        "are within three days of these dates",
        {
            "periods": 1, "tiles_per_period": 4, "period_months": 12,
            "first_start": date(2021, 2, 3), "last_start": date(2021, 2, 3),
        },
    ),
    "pair": Preset(
        "one tile before and one after the dates of an event (--dates)",
        "90 days are 18 passes of the two satellites (ESA, Sentinel-2 mission guide: revisit of "
        "five days at the equator)",
        {"before_after": True, "tiles_per_period": 1, "tolerance_days": 90},
    ),
}  # fmt: skip
