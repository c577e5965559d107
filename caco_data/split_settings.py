"""Settings of a split of a data set into training, validation and test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from caco_data.errors import InputError
from caco_data.settings_fields import check_limits, setting

PartName = Literal["train", "val", "test"]


@dataclass(frozen=True)
class SplitSettings:
    """Settings of a split."""

    val: float = setting(0.1, "Fraction of the locations for validation.", minimum=0, maximum=0.9)
    test: float = setting(0.1, "Fraction of the locations for the test.", minimum=0, maximum=0.9)
    buffer_km: float = setting(
        1.0,
        "Minimum distance between the patches of different parts, km.",
        minimum=0,
        maximum=1000,
    )
    block_km: float | None = setting(
        None,
        "Side of the blocks whose locations stay together, km.",
        minimum=1,
        maximum=5000,
        shown_default="100, less if there are few blocks",
    )
    seed: int = setting(0, "Seed of the choice of blocks.", minimum=0, maximum=2**63 - 1)

    def __post_init__(self) -> None:
        check_limits(self)
        if self.val + self.test >= 1:
            raise InputError(
                "No location is left for training",
                f"--val {self.val:g} --test {self.test:g}",
                "Use smaller fractions",
            )
