"""Change labels: a mixture of two Gaussians fitted to the change ratios (paper, section 3.4)."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from caco_data.training.mixture import fit_mixture
from caco_data.training.settings import MixtureKind

_log = logging.getLogger(__name__)


class ChangeLabels(ABC):
    """Change ratio of every location, and the labels fitted to them.

    Parameters
    ----------
    locations : int
        Number L of locations.
    device : torch.device
        Device of the labels.
    mixture : {"log", "raw"}
        As in `fit_mixture`.
    """

    def __init__(self, locations: int, device: torch.device, mixture: MixtureKind = "log") -> None:
        self.probability = torch.zeros(locations, dtype=torch.float32, device=device)
        """(L,) float32: probability of change by the last fit."""
        self.threshold = float("inf")
        """Ratio above which a location is labelled changed by the last fit."""
        self._kind = mixture
        self._warned = False

    @property
    def changed(self) -> Tensor:
        """Change labels, (L,) bool; all false before the first fit."""
        return self.probability > 0.5

    @property
    def changed_share(self) -> float:
        """Share of the locations labelled changed."""
        return float(self.changed.float().mean())

    @abstractmethod
    def ratios(self) -> NDArray[np.float64]:
        """Change ratio per location, (L,); NaN where unknown."""

    def fit(self) -> None:
        """Update the labels; none is labelled changed if the mixture cannot be fitted."""
        ratios = self.ratios()
        finite = np.isfinite(ratios)
        mixture = fit_mixture(ratios, self._kind)
        probability = np.zeros(len(ratios), dtype=np.float32)
        self.threshold = float("inf")
        if mixture is not None:
            probability[finite] = mixture.probability(ratios[finite])
            self.threshold = mixture.threshold
        if not (probability > 0.5).any() and not self._warned:
            self._warned = True
            _log.warning(
                "The change ratios of %d locations do not form two groups: no location is labelled "
                "changed.",
                int(finite.sum()),
            )
        self.probability.copy_(torch.from_numpy(probability))

    def state_dict(self) -> dict[str, Tensor]:
        """Return the state as tensors, for a checkpoint."""
        threshold = torch.tensor(self.threshold, dtype=torch.float64)
        return {"probability": self.probability, "threshold": threshold}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Restore the state of a checkpoint of the same locations."""
        self.probability.copy_(state["probability"])
        self.threshold = float(state["threshold"])
