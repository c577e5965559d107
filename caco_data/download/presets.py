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
        "SeCo (Manas et al., ICCV 2021), seco_downloader.py: five dates twelve weeks apart, after "
        "a random start per location",
        {"periods": 1, "tiles_per_period": 5, "period_months": 12},
    ),
    "ssl4eo": Preset(
        "four tiles in one year, a quarter apart",
        "SSL4EO-S12 (Wang et al., 2023), ssl4eo_s12_downloader.py: 21 December 2020, 20 March, "
        "21 June and 22 September 2021, each minus the same random number of days below 365 per "
        "location. The middles of the slots are within three days of these dates",
        {
            "periods": 1, "tiles_per_period": 4, "period_months": 12,
            "first_start": date(2019, 11, 8), "last_start": date(2020, 11, 6),
        },
    ),
    "pair": Preset(
        "one tile before and one after the dates of an event (--dates)",
        "90 days are 18 passes of the two satellites (ESA, Sentinel-2 mission guide: revisit of "
        "five days at the equator)",
        {"before_after": True, "tiles_per_period": 1, "tolerance_days": 90},
    ),
}  # fmt: skip
