"""Settings of the sampler."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from caco_data.errors import InputError

Strategy = Literal["caco", "seco", "uniform"]


STRATEGIES: tuple[Strategy, ...] = get_args(Strategy)
#: Standard deviation in km: of the paper (section 3.5), and of SeCo's own sampler.
SIGMA_KM: dict[Strategy, float] = {"caco": 5.0, "seco": 50.0}


@dataclass(frozen=True)
class SampleSettings:
    """What decides the locations, beside how many of them."""

    seed: int = 0
    """0..2**64-1."""
    strategy: Strategy = "caco"
    """`caco` and `seco`: a 2-D Gaussian around a random city; `uniform`: equal area on land."""
    sigma_km: float | None = None
    """Standard deviation of the Gaussian on each axis, km; None: the strategy's own."""
    top_cities: int = 10_000
    """How many of the most populous cities."""
    cities: str | None = None
    """The user's city table; None: the bundled one."""
    land: str | None = None
    """The user's land polygons; None: the bundled ones."""
    within: str | None = None
    """Region: `minlon,minlat,maxlon,maxlat` in degrees, or a file of polygons; None: the globe."""
    no_overlap: bool = False
    """Refuse a patch that intersects one of an earlier row."""

    def __post_init__(self) -> None:
        if not 0 <= self.seed < 2**64:
            raise InputError("The seed is not in 0..2**64-1", f"--seed {self.seed}")
        if self.strategy not in STRATEGIES:
            raise InputError(
                "No such strategy", f"--strategy {self.strategy}",
                f"Use one of {', '.join(STRATEGIES)}",
            )  # fmt: skip
        if self.top_cities < 1:
            raise InputError(
                "The number of cities is not positive", f"--top-cities {self.top_cities}"
            )
        if self.sigma_km is None:
            return
        if self.strategy == "uniform":
            raise InputError(
                "The strategy uniform has no sigma", f"--sigma-km {self.sigma_km:g}",
                "Leave it out, or use --strategy caco",
            )  # fmt: skip
        if not 0 < self.sigma_km <= 1_000:
            raise InputError(
                "Sigma is not above 0 and at most 1,000 km", f"--sigma-km {self.sigma_km:g}",
                "The paper uses 5",
            )  # fmt: skip

    @property
    def sigma_m(self) -> float:
        """Standard deviation in metres; 0 for `uniform`."""
        return 1000 * (self.sigma_km or SIGMA_KM.get(self.strategy, 0.0))
