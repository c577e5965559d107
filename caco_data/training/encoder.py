"""Encoders and the MoCo pair: a query network that learns, a key network that follows it.

The ResNets keep torchvision's parameter names, order, initialisation and numerics (He et al. 2016,
stride on the 3 x 3 convolution of the bottleneck), without its classifier `fc`, so that weights
travel to torchvision, timm and torchgeo unchanged.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize
from torch.optim.swa_utils import get_ema_multi_avg_fn

#: Embedding subspaces (paper, section 3.2): 0 invariant to season and augmentation, 1 to season
#: only, 2 to augmentation only.
HEADS = 3

_conv = partial(nn.Conv2d, bias=False)


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions and a shortcut."""

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
    """1 x 1, 3 x 3 and 1 x 1 convolutions and a shortcut."""

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
    """ResNet up to its pooled features.

    Parameters
    ----------
    block : type
        Kind of residual block.
    depths : tuple of int
        Blocks in each of the four stages.
    bands : int
        Input bands.
    """

    def __init__(self, block: Block, depths: tuple[int, int, int, int], bands: int) -> None:
        super().__init__()
        self.features = 512 * block.expansion
        """Width of the output."""
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


ENCODERS = {
    "resnet18": partial(ResNet, BasicBlock, (2, 2, 2, 2)),
    "resnet50": partial(ResNet, Bottleneck, (3, 4, 6, 3)),
}


class Embeddings(NamedTuple):
    """What one step compares; every vector has length one."""

    queries: Tensor
    """(3, N, E): the query image under each query head, with gradient."""
    keys: Tensor
    """(3, 3, N, E): [i, j] is key view j under key head i."""
    anchor: Tensor | None
    """(N, E): the query image through the key network's head 1, for the change estimate."""


def _heads(features: int, embedding: int) -> nn.ModuleList:
    return nn.ModuleList(
        nn.Sequential(nn.Linear(features, features), nn.ReLU(), nn.Linear(features, embedding))
        for _ in range(HEADS)
    )


class MoCo(nn.Module):
    """MoCo v2 (Chen et al. 2020) with three projection heads and three queues.

    Parameters
    ----------
    encoder : nn.Module
        Maps images (N, C, H, W) to features (N, `features`).
    features : int
        Width of the encoder's output.
    embedding : int
        Width E of the embeddings.
    queue_size : int
        Keys K kept by each queue.
    key_momentum : float
        Share of the key network that stays at each step.
    generator : torch.Generator
        Fills the queues with random directions.
    """

    queue: Tensor
    """(3, K, E), rows of unit length; even rows are early keys, odd rows late ones."""
    pointer: Tensor
    """Scalar int64: where the next keys go."""

    def __init__(
        self,
        encoder: nn.Module,
        features: int,
        embedding: int,
        queue_size: int,
        key_momentum: float,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.heads = _heads(features, embedding)
        self.key_encoder = copy.deepcopy(self.encoder).requires_grad_(False)
        self.key_heads = copy.deepcopy(self.heads).requires_grad_(False)
        self._move_average = get_ema_multi_avg_fn(key_momentum)  # type: ignore[no-untyped-call]
        queue = torch.randn(HEADS, queue_size, embedding, generator=generator)
        self.register_buffer("queue", normalize(queue, dim=2))
        self.register_buffer("pointer", torch.zeros((), dtype=torch.int64))

    def forward(self, views: Sequence[Tensor], with_anchor: bool) -> Embeddings:
        """Move the key network towards the query network, then embed a batch.

        Parameters
        ----------
        views : sequence of four Tensors, shape (N, C, H, W)
            The query images and the key views 0, 1, 2.
        with_anchor : bool
            Whether the change estimate needs the query image's key embedding.
        """
        query, *key_views = views
        features = self.encoder(query)  # (N, features)
        queries = torch.stack([_unit(head(features)) for head in self.heads])  # (3, N, E)
        with torch.no_grad():
            self._follow()
            # One view at a time: BatchNorm must see each view alone, as the query is seen.
            seen = [self.key_encoder(view) for view in key_views]
            keys = torch.stack(
                [torch.stack([_unit(head(x)) for x in seen]) for head in self.key_heads]
            )  # (3 heads, 3 views, N, E)
            anchor = _unit(self.key_heads[1](self.key_encoder(query))) if with_anchor else None
        return Embeddings(queries, keys, anchor)

    def _follow(self) -> None:
        for followers, leaders in (
            (self.key_encoder, self.encoder),
            (self.key_heads, self.heads),
        ):
            followed = list(followers.parameters())
            if followed:
                # The count of averaged models is of no use to an exponential average.
                self._move_average(followed, list(leaders.parameters()), 0)

    @torch.no_grad()
    def enqueue(self, keys: Tensor) -> None:
        """Put view i's keys under head i into queue i, over the oldest ones.

        Parameters
        ----------
        keys : Tensor, shape (3, 3, N, E)
            As in `Embeddings`; N even, so that queue rows go on alternating early and late.
        """
        size, rows = self.queue.shape[1], keys.shape[2]
        places = (self.pointer + torch.arange(rows, device=keys.device)) % size
        own = keys.diagonal(dim1=0, dim2=1).permute(2, 0, 1)  # (3, N, E)
        self.queue.index_copy_(1, places, own.to(self.queue.dtype))
        self.pointer.copy_((self.pointer + rows) % size)


def _unit(x: Tensor) -> Tensor:
    """Scale rows to length one, in 32 bits at least: halves would blur the logits."""
    return normalize(x if x.dtype == torch.float64 else x.float(), dim=1)
