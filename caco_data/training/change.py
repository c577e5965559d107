"""Whether a location has changed for good (paper, section 3.4).

The distance between the periods of a location, over the distance between two tiles of one period,
is large where more than the season differs. It is smoothed over the epochs, and a mixture of two
Gaussians separates changed locations from the rest.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from caco_data.training.settings import EstimateName, MixtureKind

_log = logging.getLogger(__name__)
#: Keeps the ratio finite where two tiles look the same (the authors' value).
EPSILON = 1e-4
#: Fewer ratios than this say nothing about two components.
MIN_LOCATIONS = 10
#: Ratios reach 2e4, and one such outlier takes a whole component: the tails beyond these quantiles
#: are pulled in.
TAILS = (0.005, 0.995)

LONG, SHORT, RATIO = range(3)


@dataclass(frozen=True)
class Mixture:
    """Two Gaussians over ratios, the changed component being the one with the higher mean."""

    kind: MixtureKind
    """Whether it was fitted to log ratios or to raw ones."""
    weights: tuple[float, float]
    """Shares of the components, unchanged then changed."""
    means: tuple[float, float]
    """Means, of log ratios for kind `log`."""
    deviations: tuple[float, float]
    """Standard deviations, likewise."""

    def probability(self, ratios: NDArray[np.float64]) -> NDArray[np.float64]:
        """Posterior of the changed component, (n,).

        Held where it would fall with the ratio, so that neither a very small ratio is taken for a
        change nor a very large one for none (which unequal variances would do).
        """
        x = np.clip(_scale(ratios, self.kind), *self._rising)[:, None]
        deviations = np.array(self.deviations)
        z = (x - np.array(self.means)) / deviations
        log_density = np.log(self.weights) - np.log(deviations) - z**2 / 2  # (n, 2)
        odds = log_density[:, 0] - log_density[:, 1]
        posterior: NDArray[np.float64] = 1 / (1 + np.exp(np.clip(odds, -700, 700)))
        return posterior

    @property
    def _rising(self) -> tuple[float, float]:
        """Where the posterior rises with the ratio, from the lower mean on."""
        (low, high), (precision_low, precision_high) = self.means, (s**-2 for s in self.deviations)
        top = high + 10 * self.deviations[1]
        if (
            precision_high > precision_low
        ):  # the changed component is the narrower one: beyond this it thins out
            top = min(
                top,
                (high * precision_high - low * precision_low) / (precision_high - precision_low),
            )
        return low, top

    @property
    def threshold(self) -> float:
        """The ratio at which the posterior crosses one half."""
        grid = np.linspace(*self._rising, 10_001)
        ratios = np.exp(grid) if self.kind == "log" else grid
        return float(ratios[np.argmax(self.probability(ratios) > 0.5)])

    @property
    def separates(self) -> bool:
        """Whether each component wins somewhere, the unchanged one at its own mean."""
        ends = np.array(self._rising)
        low, high = self.probability(np.exp(ends) if self.kind == "log" else ends)
        return bool(low <= 0.5 < high)


def _scale(ratios: NDArray[np.float64], kind: MixtureKind) -> NDArray[np.float64]:
    return np.log(np.maximum(ratios, 1e-12)) if kind == "log" else ratios


def fit_mixture(ratios: NDArray[np.float64], kind: MixtureKind = "log") -> Mixture | None:
    """Fit two Gaussians to change ratios.

    Parameters
    ----------
    ratios : ndarray, shape (n,)
        Positive; entries that are not finite are left out.
    kind : {"log", "raw"}
        Log ratios with their tails pulled in, or raw ratios as in the paper.

    Returns
    -------
    Mixture or None
        None where too few ratios are finite, all are the same, or one component covers the other.
    """
    x = _scale(ratios[np.isfinite(ratios)].astype(np.float64), kind)
    if len(x) < MIN_LOCATIONS:
        return None
    if kind == "log":
        low = np.quantile(x, TAILS[0], method="higher")
        high = np.quantile(x, TAILS[1], method="lower")
        x = np.clip(x, low, high)
    center, spread = float(x.mean()), float(x.std())
    if spread <= 1e-6 * max(1.0, abs(center)):
        return None
    from sklearn.mixture import GaussianMixture

    # Standardised, so that scikit-learn's variance floor means the same at every scale; its
    # default tolerance stops early.
    model = GaussianMixture(2, tol=1e-6, max_iter=1000, n_init=2, random_state=0)
    model.fit(((x - center) / spread)[:, None])
    order = np.argsort(model.means_[:, 0])
    means = model.means_[order, 0] * spread + center
    deviations = np.sqrt(model.covariances_[order, 0, 0]) * spread
    weights = model.weights_[order]
    mixture = Mixture(
        kind,
        (float(weights[0]), float(weights[1])),
        (float(means[0]), float(means[1])),
        (float(deviations[0]), float(deviations[1])),
    )
    return mixture if mixture.separates else None


class ChangeEstimator:
    """Smoothed distances of every location, and what follows from them.

    State row 2l is location l's early period, 2l + 1 its late one, l counting the locations of the
    data set in order of their id, whatever the order in which batches bring them.

    Parameters
    ----------
    locations : int
        Number L of locations.
    device : torch.device
        Where the state is kept.
    mixture : {"log", "raw"}
        As in `fit_mixture`.
    dtype : torch.dtype
        Of the state.
    """

    def __init__(
        self,
        locations: int,
        device: torch.device,
        mixture: MixtureKind = "log",
        estimate: EstimateName = "smoothed",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.distances = torch.zeros(2 * locations, 3, dtype=dtype, device=device)
        """(2L, 3): smoothed long-term distance, short-term distance and ratio."""
        self.seen = torch.zeros(2 * locations, dtype=torch.bool, device=device)
        """(2L,): whether a row has been measured."""
        self.probability = torch.zeros(locations, dtype=torch.float32, device=device)
        """(L,): of having changed, by the last fit."""
        self.threshold = float("inf")
        """Ratio from which on a location counts as changed, by the last fit."""
        self._kind = mixture
        self._column = LONG if estimate == "distance" else RATIO
        self._smooth = estimate == "smoothed"
        self._told = False

    @property
    def changed(self) -> Tensor:
        """Labels, (L,) bool; before the first fit nothing has changed."""
        return self.probability > 0.5

    @property
    def changed_share(self) -> float:
        """Share of the locations labelled changed."""
        return float(self.changed.float().mean())

    @torch.no_grad()
    def update(self, rows: Tensor, anchor: Tensor, key: Tensor) -> None:
        """Take in a batch.

        Parameters
        ----------
        rows : Tensor of int64, shape (N,)
            State rows, alternating early and late of one location.
        anchor : Tensor, shape (N, E)
            Normalised head-1 key embeddings of the query tiles: f(q).
        key : Tensor, shape (N, E)
            Likewise of the tiles of view 1: another date of the same period.
        """
        other = (
            anchor.reshape(-1, 2, anchor.shape[1]).flip(1).flatten(0, 1)
        )  # the other period's f(q)
        long = (anchor - other).norm(dim=1)
        short = (anchor - key).norm(dim=1)
        new = torch.stack([long, short, long / (short + EPSILON)], dim=1).to(self.distances)
        # Moving average with beta 0.8; a first measurement stands as it is.
        if self._smooth:
            smoothed = (4 * self.distances[rows] + new) / 5
            new = torch.where(self.seen[rows, None], smoothed, new)
        self.distances[rows] = new
        self.seen[rows] = True

    def ratios(self) -> NDArray[np.float64]:
        """Change ratio of each location, (L,): geometric mean of its two rows; NaN where unseen.

        Where the estimate is the distance between the periods, that distance.
        """
        ratio = torch.where(self.seen, self.distances[:, self._column].double(), torch.nan)
        both = ratio.reshape(-1, 2).clamp_min(1e-12).log().mean(1).exp()
        result: NDArray[np.float64] = both.cpu().numpy()
        return result

    def fit(self) -> None:
        """Label the locations anew; nothing is changed where there is no telling."""
        ratios = self.ratios()
        finite = np.isfinite(ratios)
        mixture = fit_mixture(ratios, self._kind)
        probability = np.zeros(len(ratios), dtype=np.float32)
        self.threshold = float("inf")
        if mixture is not None:
            probability[finite] = mixture.probability(ratios[finite])
            self.threshold = mixture.threshold
        if not (probability > 0.5).any() and not self._told:
            self._told = True
            _log.warning(
                "The change ratios of %d locations do not separate: nothing is labelled changed.",
                int(finite.sum()),
            )
        self.probability.copy_(torch.from_numpy(probability))

    def state_dict(self) -> dict[str, Tensor]:
        """The state as tensors, for a checkpoint."""
        return {
            "distances": self.distances,
            "seen": self.seen,
            "probability": self.probability,
            "threshold": torch.tensor(self.threshold, dtype=torch.float64),
        }

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Take the state of a checkpoint of the same locations."""
        self.distances.copy_(state["distances"])
        self.seen.copy_(state["seen"])
        self.probability.copy_(state["probability"])
        self.threshold = float(state["threshold"])
