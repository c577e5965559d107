"""Settings of the sampler."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from caco_data.errors import InputError
from caco_data.settings_fields import check_limits, setting

Strategy = Literal["caco", "seco", "uniform"]

#: Standard deviation in km: that of the paper (section 3.5), and that of SeCo's sampler.
SIGMA_KM: dict[Strategy, float] = {"caco": 5.0, "seco": 50.0}


@dataclass(frozen=True)
class SampleSettings:
    """Settings that determine the locations, apart from their number."""

    seed: int = setting(
        0,
        "Random seed; the same seed and settings give the same locations.",
        minimum=0,
        maximum=2**64 - 1,
    )
    strategy: Strategy = setting(
        "caco",
        "caco and seco: 2-D Gaussian around a random city; uniform: equal area on land.",
    )
    sigma_km: float | None = setting(
        None,
        "Standard deviation of the Gaussian on each axis, km.",
        minimum=0,
        maximum=1000,
        above_minimum=True,
        shown_default=", ".join(f"{km:g} for {strategy}" for strategy, km in SIGMA_KM.items()),
    )
    top_cities: int = setting(10_000, "Number of most populous cities to choose from.", count=True)
    cities: str | None = setting(
        None,
        "Table of cities: points with name and population.",
        metavar="FILE",
        shown_default="GeoNames",
    )
    land: str | None = setting(
        None, "Land polygons.", metavar="FILE", shown_default="Natural Earth 1:10m"
    )
    within: str | None = setting(
        None,
        "Region: a file of polygons, or minlon,minlat,maxlon,maxlat in degrees.",
        metavar="FILE|BOX",
        shown_default="the globe",
    )
    no_overlap: bool = setting(False, "Reject patches that intersect one of an earlier row.")

    def __post_init__(self) -> None:
        check_limits(self)
        if self.strategy == "uniform" and self.sigma_km is not None:
            raise InputError(
                "The strategy uniform has no sigma", f"--sigma-km {self.sigma_km:g}",
                "Omit it, or use --strategy caco",
            )  # fmt: skip

    @property
    def sigma_m(self) -> float:
        """Standard deviation in metres; 0 for `uniform`."""
        return 1000 * (self.sigma_km or SIGMA_KM.get(self.strategy, 0.0))
