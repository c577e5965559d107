"""Views of tiles: augmentation per image on the device, in plain torch.

Transforms and strengths follow SeCo and the paper: a random resized crop for every view; colour
jitter, greyscale, blur and a horizontal flip for the augmented ones. Parameters are sampled on the
CPU, so that a seed gives the same views on every device and the host can select the images to blur
without waiting for the device. Greyscale, contrast and saturation use the luma if the bands are
red, green and blue, otherwise the mean of all bands. Hue changes only if the bands are these three.

All computations use PyTorch's default floating-point type.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, conv2d, grid_sample, interpolate, pad

from caco_data.training.band_scaling import BandScaling, band_scaling
from caco_data.training.device import to_device

#: ITU-R 601 luma.
LUMA = {"B4": 0.299, "B3": 0.587, "B2": 0.114}
#: NTSC colour transform: rows Y, I and Q, columns red, green and blue.
_YIQ = ((0.299, 0.587, 0.114), (0.5959, -0.2746, -0.3213), (0.2115, -0.5227, 0.3112))

BRIGHTNESS = CONTRAST = SATURATION = 0.4
HUE = 0.1
"""Maximum hue rotation in either direction, as a fraction of a full turn."""
JITTER_SHARE, GREY_SHARE, BLUR_SHARE, FLIP_SHARE = 0.8, 0.2, 0.5, 0.5
"""Probabilities of colour jitter, greyscale, blur and flip."""
BLUR_SIGMA = (0.1, 2.0)
"""Range in pixels of a view of 224 pixels; scaled in proportion for other sizes."""
CROP_SCALE = (0.2, 1.0)
"""Range of the crop's area as a fraction of the tile's."""
CROP_RATIO = (3 / 4, 4 / 3)
"""Range of the crop's width over its height."""
_CROP_TRIES = 10

#: Factors of brightness, contrast and saturation, and hue angle, that change nothing.
_NEUTRAL = torch.tensor([1.0, 1.0, 1.0, 0.0])
#: Images processed together on a CPU, so that they fit into its cache.
_CPU_CHUNK = 16


@dataclass(frozen=True)
class ViewParameters:
    """Augmentation parameters of N images; the first axis of each tensor is N."""

    box: Tensor
    """(N, 4): left, top, width and height of the crop as fractions of the tile's side."""
    colour: Tensor
    """(N, 4): factors of brightness, contrast and saturation, and hue rotation in radians."""
    grey: Tensor
    """(N,) bool: whether to convert to greyscale."""
    sigma: Tensor
    """(N,): standard deviation of the blur, as in `BLUR_SIGMA`; 0 for no blur."""
    flip: Tensor
    """(N,) bool: whether to flip horizontally."""

    def part(self, start: int, stop: int) -> ViewParameters:
        """Parameters of the images `start` to `stop`."""
        return ViewParameters(*(getattr(self, field.name)[start:stop] for field in fields(self)))


def _uniform(n: int, low: float, high: float, generator: torch.Generator) -> Tensor:
    return low + (high - low) * torch.rand(n, generator=generator)


def sample_boxes(n: int, generator: torch.Generator) -> Tensor:
    """Sample random resized crops of a square tile, (N, 4) as in `ViewParameters.box`.

    As in torchvision: at most ten draws of an area and a log-uniform aspect ratio; if no draw fits
    into the tile, the whole tile.
    """
    tries = n * _CROP_TRIES
    area = _uniform(tries, *CROP_SCALE, generator).reshape(n, -1)
    low, high = (math.log(ratio) for ratio in CROP_RATIO)
    ratio = _uniform(tries, low, high, generator).exp().reshape(n, -1)
    width, height = (area * ratio).sqrt(), (area / ratio).sqrt()  # (N, tries)
    fits = (width <= 1) & (height <= 1)
    first = fits.int().argmax(1, keepdim=True)
    some = fits.any(1)
    width = torch.where(some, width.gather(1, first)[:, 0], 1.0)
    height = torch.where(some, height.gather(1, first)[:, 0], 1.0)
    left = torch.rand(n, generator=generator) * (1 - width)
    top = torch.rand(n, generator=generator) * (1 - height)
    return torch.stack([left, top, width, height], dim=1)


def sample_parameters(
    n: int, generator: torch.Generator, crop_only: bool = False
) -> ViewParameters:
    """Sample the augmentation parameters of N images.

    Parameters
    ----------
    n : int
        Number N of images.
    generator : torch.Generator
        Random generator on the CPU.
    crop_only : bool
        Whether the images are only cropped.
    """
    box = sample_boxes(n, generator)
    if crop_only:
        return dataclasses.replace(identity_parameters(n), box=box)

    def happens(share: float) -> Tensor:
        return torch.rand(n, generator=generator) < share

    strength = torch.tensor([BRIGHTNESS, CONTRAST, SATURATION, HUE * 2 * math.pi])
    jitter = _NEUTRAL + strength * (2 * torch.rand(n, 4, generator=generator) - 1)
    colour = torch.where(happens(JITTER_SHARE)[:, None], jitter, _NEUTRAL)
    grey = happens(GREY_SHARE)
    sigma = torch.where(happens(BLUR_SHARE), _uniform(n, *BLUR_SIGMA, generator), 0.0)
    return ViewParameters(box, colour, grey, sigma, happens(FLIP_SHARE))


def identity_parameters(n: int) -> ViewParameters:
    """Parameters that leave N images unchanged, for evaluation."""
    no = torch.zeros(n, dtype=torch.bool)
    box = torch.tensor([0.0, 0.0, 1.0, 1.0]).repeat(n, 1)
    return ViewParameters(box, _NEUTRAL.repeat(n, 1), no, torch.zeros(n), no)


class Augmenter:
    """Makes normalised views from tiles.

    Parameters
    ----------
    bands : sequence of str
        Names of the C bands.
    eight_bit : bool
        Whether tiles contain DN / 10000 * 255 instead of DN.
    size : int
        Side of the views in pixels.
    device : torch.device
        Device of the tiles and views.
    scaling : sequence of BandScaling, optional
        Scaling of each band; if None, that of training.
    """

    def __init__(
        self,
        bands: Sequence[str],
        eight_bit: bool,
        size: int,
        device: torch.device,
        scaling: Sequence[BandScaling] | None = None,
    ) -> None:
        self.size = size
        self._device = device
        unit = 1.0 if eight_bit else 10000 / 255
        scalings = torch.tensor(scaling or [band_scaling(band) for band in bands])
        stretch, (mean, deviation) = scalings[:, :2] * unit, scalings[:, 2:].T
        rgb = sorted(bands) == sorted(LUMA)
        luma = torch.tensor([LUMA[b] if rgb else 1 / len(bands) for b in bands])
        yiq = torch.tensor(_YIQ)[:, [list(LUMA).index(b) for b in bands]] if rgb else None

        def per_band(x: Tensor) -> Tensor:
            return x.to(device)[:, None, None]  # (C, 1, 1)

        low, high = stretch.T
        self._stretch = per_band(1 / (high - low)), per_band(-low / (high - low))
        self._normalise = per_band(1 / deviation), per_band(-mean / deviation)
        self._luma, self._yiq = luma, yiq

    def __call__(self, tiles: Sequence[Tensor], parameters: ViewParameters) -> Tensor:
        """Make one view of each tile.

        Parameters
        ----------
        tiles : sequence of Tensors of uint16 or uint8, shape (N, C, H, W)
            Square tiles on the device, one tensor per pixel size, the finest first.
        parameters : ViewParameters
            Parameters of N images, on the CPU.

        Returns
        -------
        Tensor of PyTorch's default dtype, shape (N, C, size, size), channels last
        """
        n = len(tiles[0])
        chunk = _CPU_CHUNK if self._device.type == "cpu" else n
        views = torch.empty(
            n, len(self._luma), self.size, self.size, device=self._device,
            memory_format=torch.channels_last,
        )  # fmt: skip
        for start in range(0, n, chunk):
            part = slice(start, start + chunk)
            views[part] = self._chunk(
                [x[part] for x in tiles], parameters.part(start, start + chunk)
            )
        return views

    def _chunk(self, tiles: list[Tensor], parameters: ViewParameters) -> Tensor:
        side = tiles[0].shape[-1]
        floats = [x.to(torch.get_default_dtype()) for x in tiles]
        # Nearest-neighbour resampling: each coarse pixel is repeated over the fine ones it covers.
        fine = [interpolate(x, side) if x.shape[-1] != side else x for x in floats]
        x = self._crop(torch.cat(fine, dim=1) if len(fine) > 1 else fine[0], parameters)
        scale, shift = self._stretch
        x = x.mul_(scale).add_(shift).clamp_(0, 1)
        x = self._recolour(x, parameters)
        x = self._blur(x, parameters)
        scale, shift = self._normalise
        return x.mul_(scale).add_(shift)

    def _crop(self, x: Tensor, parameters: ViewParameters) -> Tensor:
        # Bilinear sampling alone would skip pixels if the view is much smaller than the tile.
        # Halving bilinearly averages four pixels, in a sixth of avg_pool2d's time on a CPU.
        while x.shape[-1] >= 4 * self.size:
            x = interpolate(x, scale_factor=0.5, mode="bilinear")
        left, top, width, height = parameters.box.T
        zero = torch.zeros_like(left)
        mirror = torch.where(parameters.flip, -1.0, 1.0)
        theta = torch.stack(
            [mirror * width, zero, 2 * left + width - 1, zero, height, 2 * top + height - 1], dim=1
        ).reshape(-1, 2, 3)
        shape = [len(x), x.shape[1], self.size, self.size]
        grid = affine_grid(to_device(theta, self._device), shape, align_corners=False)
        return grid_sample(x, grid, padding_mode="border", align_corners=False)

    def _recolour(self, x: Tensor, parameters: ViewParameters) -> Tensor:
        """Apply colour jitter and greyscale as one affine map of the bands per image.

        Brightness scales all bands, saturation scales the chroma, hue rotates it, contrast scales
        about the mean luma, which saturation and hue preserve. Except for clamping they commute, so
        one fixed order replaces torchvision's random order.
        """
        recoloured = (parameters.colour != _NEUTRAL).any(1)
        rows = (recoloured | parameters.grey).nonzero()[:, 0]
        if not len(rows):
            return x
        brightness, contrast, saturation, hue = parameters.colour[rows].T[..., None, None]
        saturation = torch.where(parameters.grey[rows, None, None], 0.0, saturation)
        bands = len(self._luma)
        eye = torch.eye(bands)
        to_luma = self._luma.expand(bands, bands)  # replaces every band by the luma
        chroma = saturation * (eye - to_luma) @ self._hue_matrix(hue)
        matrix = brightness * contrast * (chroma + to_luma)  # (n, C, C)
        offset = (brightness * (1 - contrast))[:, 0]  # (n, 1), times the mean luma
        where = to_device(rows, self._device)
        old = x[where].flatten(2)  # (n, C, H * W)
        mean_luma = to_device(self._luma, self._device) @ old.mean(2).T  # (n,)
        new = to_device(matrix, self._device) @ old
        new += (to_device(offset, self._device)[:, 0] * mean_luma)[:, None, None]
        x[where] = new.clamp_(0, 1).reshape(len(rows), *x.shape[1:])
        return x

    def _hue_matrix(self, hue: Tensor) -> Tensor:
        """Matrices (n, C, C) that rotate the chroma plane."""
        if self._yiq is None:
            return torch.eye(len(self._luma)).expand(len(hue), -1, -1)
        in_yiq = torch.eye(3).repeat(len(hue), 1, 1)
        in_yiq[:, 1, 1] = in_yiq[:, 2, 2] = hue.cos()[:, 0, 0]
        in_yiq[:, 1, 2] = -hue.sin()[:, 0, 0]
        in_yiq[:, 2, 1] = hue.sin()[:, 0, 0]
        rotation: Tensor = torch.linalg.inv(self._yiq) @ in_yiq @ self._yiq
        return rotation

    def _blur(self, x: Tensor, parameters: ViewParameters) -> Tensor:
        """Blur images by a separable Gaussian with one sigma per image."""
        rows = parameters.sigma.nonzero()[:, 0]
        if not len(rows):
            return x
        scale = self.size / 224
        radius = max(1, math.ceil(3 * BLUR_SIGMA[1] * scale))
        distance = torch.arange(-radius, radius + 1)
        sigma = (parameters.sigma[rows] * scale).clamp_min(1e-2)
        kernel = (-((distance / sigma[:, None]) ** 2) / 2).exp()
        kernel = to_device(kernel / kernel.sum(1, keepdim=True), self._device)  # (n, taps)
        where = to_device(rows, self._device)
        n, bands, height, width = len(rows), *x.shape[1:]
        weight = kernel.repeat_interleave(bands, 0)[:, None, None, :]  # (n C, 1, 1, taps)
        image = x[where].reshape(1, n * bands, height, width)
        image = pad(image, (radius,) * 4, mode="reflect")
        image = conv2d(image, weight, groups=n * bands)
        image = conv2d(image, weight.mT, groups=n * bands)
        x[where] = image.reshape(n, bands, height, width)
        return x
