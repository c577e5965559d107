"""Decoders on the feature maps of a frozen encoder: a linear layer, and a U-Net."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import interpolate

from caco_data.errors import InputError
from caco_data.training.models.resnet import ResNet

Head = Literal["linear", "unet"]
#: Learning rate of Adam, and images per step.
RATE, BATCH = 1e-3, 8


class Pyramid(nn.Module):
    """Feature maps of the stages of a frozen ResNet, the finest first.

    Parameters
    ----------
    encoder : nn.Module
        The ResNet.

    Raises
    ------
    InputError
        For other architectures.
    """

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        if not isinstance(encoder, ResNet):
            raise InputError(
                "Tasks on pixels need the feature maps of a ResNet", type(encoder).__name__,
                "Use an encoder with resnet18 or resnet50",
            )  # fmt: skip
        self.encoder = encoder
        with torch.no_grad():
            bands = encoder.conv1.in_channels
            maps = self(torch.zeros(1, bands, 64, 64, device=encoder.conv1.weight.device))
        self.channels = [x.shape[1] for x in maps]
        """Channels of each map."""

    @torch.no_grad()
    def forward(self, x: Tensor) -> list[Tensor]:
        """Maps at 1/2, 1/4, 1/8, 1/16 and 1/32 of the size of images (N, C, H, W)."""
        net = self.encoder
        first = net.relu(net.bn1(net.conv1(x)))
        maps = [first]
        x = net.maxpool(first)
        for stage in range(1, 5):
            x = net.get_submodule(f"layer{stage}")(x)
            maps.append(x)
        return maps


class LinearHead(nn.Module):
    """One linear layer on the coarsest maps, enlarged bilinearly."""

    def __init__(self, channels: Sequence[int], classes: int) -> None:
        super().__init__()
        self.layer = nn.Conv2d(channels[-1], classes, 1)

    def forward(self, maps: Sequence[Tensor], size: tuple[int, int]) -> Tensor:
        """Logits (N, K, *size)."""
        return interpolate(self.layer(maps[-1]), size, mode="bilinear")


class UNetHead(nn.Module):
    """Decoder of a U-Net: from the coarsest maps to the finest, joined with those of each stage."""

    def __init__(self, channels: Sequence[int], classes: int) -> None:
        super().__init__()
        widths = [min(count, 128) for count in channels]
        self.first = _block(channels[-1], widths[-1])
        self.blocks = nn.ModuleList(
            _block(widths[i + 1] + channels[i], widths[i])
            for i in reversed(range(len(channels) - 1))
        )
        self.last = nn.Conv2d(widths[0], classes, 1)

    def forward(self, maps: Sequence[Tensor], size: tuple[int, int]) -> Tensor:
        """Logits (N, K, *size)."""
        x = self.first(maps[-1])
        for block, finer in zip(self.blocks, reversed(maps[:-1]), strict=True):
            x = interpolate(x, finer.shape[-2:], mode="bilinear")
            x = block(torch.cat([x, finer], dim=1))
        return interpolate(self.last(x), size, mode="bilinear")


def _block(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(),
    )  # fmt: skip


HEADS: dict[Head, type[LinearHead] | type[UNetHead]] = {"linear": LinearHead, "unet": UNetHead}

#: Reads a batch: positions to maps and targets.
ReadBatch = Callable[[NDArray[np.int64]], tuple[list[Tensor], Tensor]]
Loss = Callable[[Tensor, Tensor], Tensor]


def train_head(
    kind: Head,
    channels: Sequence[int],
    classes: int,
    read: ReadBatch,
    loss: Loss,
    cases: int,
    epochs: int,
    seed: int,
    device: torch.device,
    progress: Callable[[int, int], None],
) -> nn.Module:
    """Train a decoder with Adam and a cosine schedule; the same seed gives the same decoder.

    Parameters
    ----------
    kind : {"linear", "unet"}
        Decoder.
    channels : sequence of int
        Channels of the maps, the finest first.
    classes : int
        Number K of logits.
    read : callable
        Maps positions of training cases to their feature maps and targets (N, H, W).
    loss : callable
        Maps logits (N, K, H, W) and targets to a loss.
    cases, epochs, seed : int
        Number of training cases, of passes, and random seed.
    device : torch.device
        Device of the decoder.
    progress : callable
        Called with the epochs done and their number.

    Returns
    -------
    nn.Module
        In evaluation mode.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        head = HEADS[kind](channels, classes).to(device)
    optimizer = torch.optim.Adam(head.parameters(), RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    rng = np.random.default_rng(seed)
    for epoch in range(epochs):
        order = rng.permutation(cases)
        for start in range(0, cases, BATCH):
            maps, target = read(order[start : start + BATCH])
            value = loss(head(maps, target.shape[-2:]), target)
            optimizer.zero_grad()
            value.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        schedule.step()
        progress(epoch + 1, epochs)
    return head.eval()
