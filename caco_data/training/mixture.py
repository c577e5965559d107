"""Mixture of two Gaussians that separates changed locations from the rest (paper, section 3.4)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from caco_data.training.settings import MixtureKind

#: Minimum number of ratios that determine two components.
MIN_LOCATIONS = 10
#: Ratios reach 2e4, and one such outlier would become a component by itself: values beyond
#: these quantiles are clipped to them.
TAILS = (0.005, 0.995)


@dataclass(frozen=True)
class Mixture:
    """Two Gaussians over change ratios; the changed component is the one with the higher mean."""

    kind: MixtureKind
    """Whether it was fitted to the logarithms of the ratios or to the ratios."""
    weights: tuple[float, float]
    """Weights of the unchanged and the changed component."""
    means: tuple[float, float]
    """Means of the components, of log ratios if `kind` is `log`."""
    deviations: tuple[float, float]
    """Standard deviations of the components, on the same scale."""

    def probability(self, ratios: NDArray[np.float64]) -> NDArray[np.float64]:
        """Posterior probability of the changed component, (n,).

        Constant where it would decrease with the ratio: with unequal variances, a very small ratio
        would otherwise count as a change, or a very large one as no change.
        """
        x = np.clip(_scale(ratios, self.kind), *self._increasing)[:, None]
        deviations = np.array(self.deviations)
        z = (x - np.array(self.means)) / deviations
        log_density = np.log(self.weights) - np.log(deviations) - z**2 / 2  # (n, 2)
        odds = log_density[:, 0] - log_density[:, 1]
        posterior: NDArray[np.float64] = 1 / (1 + np.exp(np.clip(odds, -700, 700)))
        return posterior

    @property
    def _increasing(self) -> tuple[float, float]:
        """Interval in which the posterior increases with the ratio, from the lower mean on."""
        (low, high), (precision_low, precision_high) = self.means, (s**-2 for s in self.deviations)
        top = high + 10 * self.deviations[1]
        if precision_high > precision_low:
            # The changed component is narrower: above this point the posterior decreases.
            difference = precision_high - precision_low
            top = min(top, (high * precision_high - low * precision_low) / difference)
        return low, top

    @property
    def threshold(self) -> float:
        """Ratio at which the posterior crosses one half."""
        grid = np.linspace(*self._increasing, 10_001)
        ratios = np.exp(grid) if self.kind == "log" else grid
        return float(ratios[np.argmax(self.probability(ratios) > 0.5)])

    @property
    def separates(self) -> bool:
        """Whether the posterior is at most one half at the lower mean and rises above one half."""
        ends = np.array(self._increasing)
        low, high = self.probability(np.exp(ends) if self.kind == "log" else ends)
        return bool(low <= 0.5 < high)


def _scale(ratios: NDArray[np.float64], kind: MixtureKind) -> NDArray[np.float64]:
    return np.log(np.maximum(ratios, 1e-12)) if kind == "log" else ratios


def fit_mixture(ratios: NDArray[np.float64], kind: MixtureKind = "log") -> Mixture | None:
    """Fit two Gaussians to change ratios.

    Parameters
    ----------
    ratios : ndarray, shape (n,)
        Positive; entries that are not finite are ignored.
    kind : {"log", "raw"}
        Fit to log ratios with clipped tails, or to raw ratios as in the paper.

    Returns
    -------
    Mixture or None
        None if too few ratios are finite, all are equal, or the components do not separate.
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

    # Standardised, so that scikit-learn's minimum variance has the same effect at every scale. Its
    # default tolerance stops the fit too early.
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
