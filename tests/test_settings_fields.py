from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import pytest

from caco_data.errors import InputError
from caco_data.settings_fields import check_limits, setting


@dataclass(frozen=True)
class Flight:
    """Settings of every supported type."""

    camera: str = setting("rgb", "Camera.", metavar="NAME")
    pilot: str | None = setting(None, "Pilot.", envvar="PILOT", shown_default="autopilot")
    images: int = setting(10_000, "Number of images.", count=True)
    lines: int | None = setting(None, "Number of lines.", option="flight-lines", minimum=2)
    height_m: float = setting(
        120.0, "Height, metres.", option="height", minimum=0, maximum=150, above_minimum=True
    )
    sensor: Literal["optical", "radar"] = setting("optical", "Sensor.")
    bands: tuple[str, ...] | None = setting(None, "Bands.")
    night: bool = setting(False, "Fly at night.")
    operator: str = "nobody"
    """Has no option."""


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"images": 0}, "The value must be at least 1 (--images 0)."),
        ({"lines": 1}, "The value must be at least 2 (--flight-lines 1)."),
        ({"height_m": 0.0}, "The value must be above 0 and at most 150 (--height 0)."),
        ({"height_m": float("nan")}, "The value must be above 0 and at most 150 (--height nan)."),
        ({"sensor": "sonar"}, "Unknown choice (--sensor sonar). Use one of optical, radar."),
    ],
)
def test_values_outside_the_limits_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as error:
        check_limits(Flight(**values))
    assert str(error.value) == message
