"""Several processes that train as one: what each has, gathered; BatchNorm over everybody's rows.

MoCo must not let BatchNorm tell which key belongs to which query, as it would if each process took
statistics over its own few rows (He et al. 2020, "Shuffling BN"). Here they are those of the whole
batch, and one batch gives the same numbers however many processes share it.
"""

from __future__ import annotations

from typing import Any

import torch
from lightning.fabric import Fabric
from torch import Tensor, distributed, nn
from torch.autograd import Function


def gather(fabric: Fabric, x: Tensor, dim: int, gradients: bool = False) -> Tensor:
    """Everybody's tensors, one after the other along `dim`."""
    if fabric.world_size == 1:
        return x
    if gradients:
        gathered: Tensor = _Gather.apply(x, dim)  # type: ignore[no-untyped-call]
        return gathered
    return _gathered(x.detach(), dim)


def mean(fabric: Fabric, x: Tensor) -> Tensor:
    """Mean over all processes."""
    result: Any = fabric.all_reduce(x, reduce_op="mean")
    return torch.as_tensor(result)


def anyone(fabric: Fabric, flag: bool) -> bool:
    """Whether any process says so."""
    if fabric.world_size == 1:
        return flag
    total: Any = fabric.all_reduce(torch.tensor(float(flag), device=fabric.device), reduce_op="sum")
    return bool(total > 0)


def share_batch_norm(model: nn.Module, device: torch.device) -> nn.Module:
    """Let BatchNorm take its statistics over all processes."""
    if device.type == "cuda":
        converted: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(model)  # type: ignore[no-untyped-call]
        return converted
    for module in model.modules():
        if type(module) is nn.BatchNorm2d:
            module.__class__ = _SharedBatchNorm
    return model


class _SharedBatchNorm(nn.BatchNorm2d):
    """What nn.SyncBatchNorm is on GPUs, for processes on CPUs, where that one does not work."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (N, C, H, W) as if everybody's rows were here."""
        if not self.training:
            return super().forward(x)
        wide = x.to(self.weight.dtype)  # bf16 is too coarse for statistics
        mean = _mean(wide.mean((0, 2, 3)))  # (C,)
        centred = wide - mean[:, None, None]
        variance = _mean(centred.square().mean((0, 2, 3)))
        processes = len(_everybody())
        self._remember(mean.detach(), variance.detach(), processes * x.numel() // x.shape[1])
        scale = self.weight * (variance + self.eps).rsqrt()
        out: Tensor = centred * scale[:, None, None] + self.bias[:, None, None]
        return out.to(x.dtype)

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor, count: int) -> None:
        if self.running_mean is None or self.running_var is None or self.momentum is None:
            return
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance * count / (count - 1), self.momentum)
        if self.num_batches_tracked is not None:
            self.num_batches_tracked += 1


def _mean(x: Tensor) -> Tensor:
    total: Tensor = _Sum.apply(x)  # type: ignore[no-untyped-call]
    return total / len(_everybody())


def _gathered(x: Tensor, dim: int) -> Tensor:
    parts = [torch.empty_like(x, memory_format=torch.contiguous_format) for _ in _everybody()]
    distributed.all_gather(parts, x.contiguous())
    return torch.cat(parts, dim)


def _summed(x: Tensor) -> Tensor:
    x = x.clone(memory_format=torch.contiguous_format)
    distributed.all_reduce(x)
    return x


def _everybody() -> range:
    return range(distributed.get_world_size())


# Collectives that gradients pass, made of PyTorch's public ones: its own are deprecated (those of
# torch.distributed.nn.functional) or not yet public (their successors).


class _Gather(Function):
    """As `_gathered`: everybody's loss has a gradient for what was gathered from here."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, dim: int) -> Tensor:
        ctx.dim = dim
        return _gathered(x, dim)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        parts = _summed(gradient).chunk(len(_everybody()), ctx.dim)
        return parts[distributed.get_rank()], None


class _Sum(Function):
    """Sum over all processes; so is its gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return _summed(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return _summed(gradient)
