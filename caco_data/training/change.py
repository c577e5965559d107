"""Estimate of permanent change per location (paper, section 3.4).

The distance between the periods of a location, divided by the distance between two tiles of one
period, is large if more than the season differs. The ratio is smoothed over the epochs, and a
mixture of two Gaussians separates changed locations from the rest.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from caco_data.training.change_labels import ChangeLabels
from caco_data.training.settings import EstimateName, MixtureKind

#: Keeps the ratio finite if two tiles have equal embeddings (the authors' value).
EPSILON = 1e-4

LONG, SHORT, RATIO = range(3)


class ChangeEstimator(ChangeLabels):
    """Smoothed distances of every location, and the change labels fitted to them.

    Row 2l of the state is the early period of location l, row 2l + 1 the late one. Locations are
    numbered in the order of their ids in the data set, independent of their order in batches.

    Parameters
    ----------
    locations : int
        Number L of locations.
    device : torch.device
        Device of the state.
    mixture : {"log", "raw"}
        As in `fit_mixture`.
    estimate : {"distance", "ratio", "aligned", "smoothed"}
        Quantity that measures change (paper, Table 8).
    dtype : torch.dtype, optional
        Type of the distances; PyTorch's default dtype if None.
    """

    def __init__(
        self,
        locations: int,
        device: torch.device,
        mixture: MixtureKind = "log",
        estimate: EstimateName = "smoothed",
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(locations, device, mixture)
        self.distances = torch.zeros(2 * locations, 3, dtype=dtype, device=device)
        """(2L, 3): smoothed long-term distance, short-term distance and their ratio."""
        self.seen = torch.zeros(2 * locations, dtype=torch.bool, device=device)
        """(2L,) bool: whether a row has been measured."""
        self._column = LONG if estimate == "distance" else RATIO
        self._smooth = estimate == "smoothed"

    @torch.no_grad()
    def update(self, rows: Tensor, anchor: Tensor, key: Tensor) -> None:
        """Add the distances of a batch.

        Parameters
        ----------
        rows : Tensor of int64, shape (N,)
            State rows, alternating early and late of one location.
        anchor : Tensor, shape (N, E)
            Normalised key embeddings under head 1 of the query tiles: f(q).
        key : Tensor, shape (N, E)
            The same embeddings of the tiles of view 1: another date of the same period.
        """
        # f(q) of the other period of the same location.
        other = anchor.reshape(-1, 2, anchor.shape[1]).flip(1).flatten(0, 1)
        long = (anchor - other).norm(dim=1)
        short = (anchor - key).norm(dim=1)
        new = torch.stack([long, short, long / (short + EPSILON)], dim=1).to(self.distances)
        # Moving average with beta 0.8; the first measurement is stored unchanged.
        if self._smooth:
            smoothed = (4 * self.distances[rows] + new) / 5
            new = torch.where(self.seen[rows, None], smoothed, new)
        self.distances[rows] = new
        self.seen[rows] = True

    def ratios(self) -> NDArray[np.float64]:
        """Change ratio per location, (L,): geometric mean of its two rows; NaN where unseen.

        If the estimate is `distance`, the distance between the periods instead of the ratio.
        """
        ratio = torch.where(self.seen, self.distances[:, self._column].double(), torch.nan)
        both = ratio.reshape(-1, 2).clamp_min(1e-12).log().mean(1).exp()
        result: NDArray[np.float64] = both.cpu().numpy()
        return result

    def state_dict(self) -> dict[str, Tensor]:
        """Return the state as tensors, for a checkpoint."""
        return {"distances": self.distances, "seen": self.seen, **super().state_dict()}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Restore the state of a checkpoint of the same locations."""
        super().load_state_dict(state)
        self.distances.copy_(state["distances"])
        self.seen.copy_(state["seen"])
