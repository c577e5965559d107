"""Training with several processes: gathering of tensors, BatchNorm over the whole batch.

With BatchNorm statistics over the few rows of one process, the network could find the key of a
query from these statistics (He et al. 2020, "Shuffling BN"). Here the statistics are those of the
whole batch, and a batch gives the same results for any number of processes.
"""

from __future__ import annotations

from typing import Any

import torch
from lightning.fabric import Fabric
from torch import Tensor, distributed, nn
from torch.autograd import Function


def gather(fabric: Fabric, x: Tensor, dim: int, gradients: bool = False) -> Tensor:
    """Concatenate the tensors of all processes along `dim`, optionally with gradients."""
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


def any_process(fabric: Fabric, flag: bool) -> bool:
    """Whether the flag is true in any process."""
    if fabric.world_size == 1:
        return flag
    total: Any = fabric.all_reduce(torch.tensor(float(flag), device=fabric.device), reduce_op="sum")
    return bool(total > 0)


def share_batch_norm(model: nn.Module, device: torch.device) -> nn.Module:
    """Make BatchNorm compute its statistics over all processes."""
    if device.type == "cuda":
        converted: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(model)  # type: ignore[no-untyped-call]
        return converted
    for module in model.modules():
        if type(module) is nn.BatchNorm2d:
            module.__class__ = _SharedBatchNorm
    return model


class _SharedBatchNorm(nn.BatchNorm2d):
    """Replacement for nn.SyncBatchNorm on CPUs, which supports only GPUs."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (n, C, H, W) with the statistics over the rows of all processes."""
        if not self.training:
            return super().forward(x)
        wide = x.to(self.weight.dtype)  # the precision of bf16 is too low for statistics
        mean = _mean(wide.mean((0, 2, 3)))  # (C,)
        centred = wide - mean[:, None, None]
        variance = _mean(centred.square().mean((0, 2, 3)))
        count = distributed.get_world_size() * x.numel() // x.shape[1]
        self._update_running(mean.detach(), variance.detach(), count)
        scale = self.weight * (variance + self.eps).rsqrt()
        out: Tensor = centred * scale[:, None, None] + self.bias[:, None, None]
        return out.to(x.dtype)

    @torch.no_grad()
    def _update_running(self, mean: Tensor, variance: Tensor, count: int) -> None:
        if self.running_mean is None or self.running_var is None or self.momentum is None:
            return
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance * count / (count - 1), self.momentum)
        if self.num_batches_tracked is not None:
            self.num_batches_tracked += 1


def _mean(x: Tensor) -> Tensor:
    total: Tensor = _Sum.apply(x)  # type: ignore[no-untyped-call]
    return total / distributed.get_world_size()


def _gathered(x: Tensor, dim: int) -> Tensor:
    x = x.contiguous()
    parts = [torch.empty_like(x) for _ in range(distributed.get_world_size())]
    distributed.all_gather(parts, x)
    return torch.cat(parts, dim)


def _summed(x: Tensor) -> Tensor:
    x = x.clone(memory_format=torch.contiguous_format)
    distributed.all_reduce(x)
    return x


# Collectives with gradients, built from PyTorch's public ones: those of
# torch.distributed.nn.functional are deprecated, and their successors are not yet public.


class _Gather(Function):
    """`_gathered` with gradients: the losses of all processes depend on each process's tensor."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, dim: int) -> Tensor:
        ctx.dim = dim
        return _gathered(x, dim)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        parts = _summed(gradient).chunk(distributed.get_world_size(), ctx.dim)
        return parts[distributed.get_rank()], None


class _Sum(Function):
    """Sum over all processes; the gradient is the sum of their gradients."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return _summed(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return _summed(gradient)
