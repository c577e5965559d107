"""Several processes that train as one: what each has, gathered; BatchNorm over everybody's rows.

MoCo must not let BatchNorm tell which key belongs to which query (He et al. 2020, "Shuffling BN").
With statistics of the whole batch, as on one device, it cannot; and one batch gives the same
numbers however many processes share it.
"""

from __future__ import annotations

from typing import Any

import torch
from lightning.fabric import Fabric
from torch import Tensor, nn
from torch.distributed.nn.functional import all_reduce  # one that gradients pass


def gather(fabric: Fabric, x: Tensor, dim: int, gradients: bool = False) -> Tensor:
    """Everybody's tensors, one after the other along `dim`."""
    if fabric.world_size == 1:
        return x
    parts: Any = fabric.all_gather(x, sync_grads=gradients)  # (processes, ...)
    return torch.cat(list(parts), dim)


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
        mean = _mean(x.mean((0, 2, 3)))  # (C,)
        centred = x - mean[:, None, None]
        variance = _mean(centred.square().mean((0, 2, 3)))
        processes = torch.distributed.get_world_size()
        self._remember(mean.detach(), variance.detach(), processes * x.numel() // x.shape[1])
        scale = self.weight * (variance + self.eps).rsqrt()
        out: Tensor = centred * scale[:, None, None] + self.bias[:, None, None]
        return out

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor, count: int) -> None:
        if self.running_mean is None or self.running_var is None or self.momentum is None:
            return
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance * count / (count - 1), self.momentum)
        if self.num_batches_tracked is not None:
            self.num_batches_tracked += 1


def _mean(x: Tensor) -> Tensor:
    total: Tensor = all_reduce(x)  # type: ignore[no-untyped-call]
    return total / torch.distributed.get_world_size()
