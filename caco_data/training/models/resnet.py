"""ResNets with torchvision's parameter names, order, initialisation and numerics.

He et al. 2016, with the stride on the 3 x 3 convolution of the bottleneck and without the
classifier `fc`. torchvision, timm and torchgeo can load the weights unchanged.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

_conv = partial(nn.Conv2d, bias=False)


class BasicBlock(nn.Module):
    """Residual block of two 3 x 3 convolutions."""

    expansion = 1

    def __init__(self, inputs: int, width: int, stride: int, downsample: nn.Module | None) -> None:
        super().__init__()
        self.conv1 = _conv(inputs, width, 3, stride, padding=1)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = _conv(width, width, 3, padding=1)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, width, H / stride, W / stride)."""
        shortcut = x if self.downsample is None else self.downsample(x)
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.bn2(self.conv2(x))
        out: Tensor = self.relu(x + shortcut)
        return out


class Bottleneck(nn.Module):
    """Residual block of 1 x 1, 3 x 3 and 1 x 1 convolutions."""

    expansion = 4

    def __init__(self, inputs: int, width: int, stride: int, downsample: nn.Module | None) -> None:
        super().__init__()
        self.conv1 = _conv(inputs, width, 1)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = _conv(width, width, 3, stride, padding=1)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = _conv(width, width * self.expansion, 1)
        self.bn3 = nn.BatchNorm2d(width * self.expansion)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, 4 width, H / stride, W / stride)."""
        shortcut = x if self.downsample is None else self.downsample(x)
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.relu(self.bn2(self.conv2(x)))
        x = self.bn3(self.conv3(x))
        out: Tensor = self.relu(x + shortcut)
        return out


Block = type[BasicBlock] | type[Bottleneck]


class ResNet(nn.Module):
    """ResNet up to the pooled features.

    Parameters
    ----------
    block : type
        Kind of residual block.
    depths : tuple of int
        Number of blocks in each of the four stages.
    bands : int
        Number of input bands.
    """

    def __init__(self, block: Block, depths: tuple[int, int, int, int], bands: int) -> None:
        super().__init__()
        self.features = 512 * block.expansion
        """Number of output features."""
        self.conv1 = _conv(bands, 64, 7, 2, padding=3)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, padding=1)
        inputs = 64
        for stage, depth in enumerate(depths, start=1):
            width = 32 << stage
            self.add_module(f"layer{stage}", _stage(block, inputs, width, depth, stage > 1))
            inputs = width * block.expansion
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """Map images (N, bands, H, W) to features (N, `features`)."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        for stage in range(1, 5):
            x = self.get_submodule(f"layer{stage}")(x)
        return torch.flatten(self.avgpool(x), 1)


def _stage(block: Block, inputs: int, width: int, depth: int, halve: bool) -> nn.Sequential:
    stride = 2 if halve else 1
    outputs = width * block.expansion
    downsample = None
    if halve or inputs != outputs:
        downsample = nn.Sequential(_conv(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))
    blocks = [block(inputs, width, stride, downsample)]
    blocks += [block(outputs, width, 1, None) for _ in range(depth - 1)]
    return nn.Sequential(*blocks)


resnet18 = partial(ResNet, BasicBlock, (2, 2, 2, 2))
resnet50 = partial(ResNet, Bottleneck, (3, 4, 6, 3))
