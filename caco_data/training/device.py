"""Devices, precision and processes of a run, and copies to the device."""

from __future__ import annotations

import ctypes
import os
import sys
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from caco_data.errors import InputError
from caco_data.training.settings import TrainSettings

if TYPE_CHECKING:
    from lightning.fabric import Fabric

#: Parameters of mallopt, from glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4


def open_device(settings: TrainSettings) -> Fabric:
    """Set up the devices, the precision and the processes of a run.

    Parameters
    ----------
    settings : TrainSettings
        Device, number of devices and precision; torchrun's environment variables take precedence
        over the number of devices.

    Returns
    -------
    Fabric
        Not yet launched.

    Raises
    ------
    InputError
        When the machine does not have these devices.
    """
    # Imported here: it takes seconds, and evaluation needs only `to_device`.
    from lightning.fabric import Fabric
    from lightning.fabric.strategies.ddp import DDPStrategy

    on_gpu = settings.device == "cuda"
    nodes, devices = _torchrun() or (1, settings.devices)
    found = torch.cuda.device_count() if on_gpu else devices
    if on_gpu and not found:
        raise InputError(
            "PyTorch finds no CUDA device",
            "--device cuda",
            "Use --device cpu to train on the CPU",
        )
    if devices > found:
        raise InputError(
            f"{devices} devices requested, PyTorch finds {found}",
            "--devices",
            f"Use --devices {found}",
        )
    use_bf16 = settings.precision == "bf16" or (
        settings.precision == "auto" and (on_gpu or _cpu_has_bf16())
    )
    precision: Literal["bf16-mixed", "32-true"] = "bf16-mixed" if use_bf16 else "32-true"
    if not on_gpu:
        _keep_freed_memory()
    distributed = nodes * devices > 1
    return Fabric(
        accelerator=settings.device,
        devices=devices,
        num_nodes=nodes,
        # BatchNorm statistics are synchronised, so buffers need no broadcast.
        strategy=DDPStrategy(broadcast_buffers=False) if distributed else "auto",
        precision=precision,
    )


def to_device(x: Tensor, device: torch.device) -> Tensor:
    """Copy a CPU tensor to the device without waiting for the device."""
    if device.type == "cuda":
        return x.pin_memory().to(device, non_blocking=True)
    return x


def _cpu_has_bf16() -> bool:
    """Whether the CPU has bf16 instructions, which nearly halve the time of a step."""
    # Older versions of torch lack get_capabilities.
    found: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return any(found.get(name) for name in ("avx512_bf16", "amx_bf16"))


def _torchrun() -> tuple[int, int] | None:
    """Number of machines and of processes per machine; None unless started by torchrun."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return None
    local = int(os.environ["LOCAL_WORLD_SIZE"])
    return int(os.environ["WORLD_SIZE"]) // local, local


def _keep_freed_memory() -> None:
    """Let glibc reuse freed memory for the next activations.

    Otherwise each large tensor is mapped again and zeroed page by page: a sixth of a step's time.
    """
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        libc.mallopt(_M_MMAP_MAX, 0)
        libc.mallopt(_M_TRIM_THRESHOLD, -1)
