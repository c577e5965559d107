"""Statistics of images, computed in the same way for real and simulated ones."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def autocorrelation(image: Floats, lag: int) -> float:
    """Mean correlation of pixels `lag` apart along rows and columns."""
    image = image - image.mean()
    pairs = (image[:, lag:] * image[:, :-lag]).mean() + (image[lag:] * image[:-lag]).mean()
    return float(pairs / 2 / (image**2).mean())


def correlation(a: Floats, b: Floats) -> float:
    """Pearson correlation of two arrays of the same shape."""
    return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])


def _power(image: Floats) -> tuple[Floats, Floats]:
    """Power spectrum of a square image under a Hann window, and the radial frequencies."""
    size = image.shape[0]
    window = np.outer(np.hanning(size), np.hanning(size))
    power = np.abs(np.fft.fft2((image - image.mean()) * window)) ** 2
    frequency = np.fft.fftfreq(size)
    return power, np.hypot(frequency[:, None], frequency)


def power_slope(image: Floats) -> float:
    """Slope of the radial power spectrum on logarithmic axes."""
    size = image.shape[0]
    power, frequency = _power(image)
    radius = (frequency * size + 1e-9).astype(int).ravel()
    radial = np.bincount(radius, power.ravel()) / np.bincount(radius)
    k = np.arange(4, size * 3 // 8)
    return float(np.polyfit(np.log(k), np.log(radial[k]), 1)[0])


def fine_share(image: Floats) -> float:
    """Share of the variance at wavelengths shorter than four pixels (40 m)."""
    power, frequency = _power(image)
    return float(power[frequency > 0.25].sum() / power[frequency > 0].sum())


def gradient_energy(image: Floats) -> float:
    """Mean squared difference of vertical neighbours plus that of horizontal neighbours."""
    return float((np.diff(image, axis=0) ** 2).mean() + (np.diff(image, axis=1) ** 2).mean())


def fourfold_order(image: Floats) -> float:
    """Fourfold order of edge directions, 0 (isotropic) to 1 (all edges parallel or orthogonal)."""
    east = (image[1:-1, 2:] - image[1:-1, :-2]) / 2
    south = (image[2:, 1:-1] - image[:-2, 1:-1]) / 2
    energy, angle = east**2 + south**2, np.arctan2(south, east)
    return float(abs((energy * np.exp(4j * angle)).sum()) / energy.sum())


def without_coarse(image: Floats, sigma: float = 2.0) -> Floats:
    """Subtract a Gaussian of `sigma` pixels from an image."""
    reach = int(4 * sigma)
    kernel = np.exp(-((np.arange(-reach, reach + 1) / sigma) ** 2) / 2)
    kernel /= kernel.sum()
    padded = np.pad(image, reach, mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view
    rows = windows(padded, kernel.size, axis=1) @ kernel
    return np.asarray(image - windows(rows, kernel.size, axis=0) @ kernel)


def block_means(image: Floats, side: int) -> Floats:
    """Means of blocks of `side` x `side` pixels."""
    rows, columns = (n // side for n in image.shape[-2:])
    cut = image[..., : rows * side, : columns * side]
    return np.asarray(cut.reshape(*image.shape[:-2], rows, side, columns, side).mean((-3, -1)))


def noise_floor(image: Floats) -> float:
    """Standard deviation of the noise in the flattest tenth of the blocks of 8 x 8 pixels.

    The noise is estimated with a Laplacian that is insensitive to gradients (Immerkaer, 1996).
    """
    a = image[:-2] - 2 * image[1:-1] + image[2:]
    second = a[:, :-2] - 2 * a[:, 1:-1] + a[:, 2:]
    blocks = np.sqrt(block_means(second**2, 8) / 36)
    return float(np.percentile(blocks, 10))


def beyond_three_components(bands: Floats) -> float:
    """Share of the variance of pixels, (C, H, W), beyond three principal components."""
    values = np.linalg.eigvalsh(np.cov(bands.reshape(len(bands), -1)))
    return float(values[:-3].sum() / values.sum())


def ndvi(red: Floats, infrared: Floats) -> Floats:
    """Normalised difference vegetation index."""
    return np.asarray((infrared - red) / np.maximum(infrared + red, 1))


def auroc(positive: Floats, negative: Floats) -> float:
    """Probability that a value of the first array exceeds one of the second."""
    values = np.concatenate([positive.ravel(), negative.ravel()])
    rank = np.empty(values.size)
    rank[values.argsort()] = np.arange(1, values.size + 1)
    n, m = positive.size, negative.size
    return float((rank[:n].sum() - n * (n + 1) / 2) / (n * m))
