"""Where to train: devices, precision, and the processes that share the work."""

from __future__ import annotations

import ctypes
import os
import sys
from typing import Literal

import torch
from lightning.fabric import Fabric
from lightning.fabric.strategies.ddp import DDPStrategy

from caco_data.errors import InputError
from caco_data.training.settings import TrainSettings

#: glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4


def open_device(settings: TrainSettings) -> Fabric:
    """Devices, precision and the processes that share the work.

    Raises
    ------
    InputError
        Where there are no such devices.
    """
    on_gpu = settings.device == "cuda"
    # torchrun has started the processes, and says how many.
    nodes, devices = _torchrun() or (1, settings.devices)
    found = torch.cuda.device_count() if on_gpu else devices
    if on_gpu and not found:
        raise InputError(
            "PyTorch finds no CUDA device",
            "--device cuda",
            "To train on the processor use --device cpu",
        )
    if devices > found:
        raise InputError(
            f"{devices} devices wanted, PyTorch finds {found}", "--devices", f"Give {found}"
        )
    halves = settings.precision == "bf16" or (
        settings.precision == "auto" and (on_gpu or _cpu_has_bf16())
    )
    precision: Literal["bf16-mixed", "32-true"] = "bf16-mixed" if halves else "32-true"
    if not on_gpu:
        _keep_freed_memory()
    several = nodes * devices > 1
    return Fabric(
        accelerator=settings.device,
        devices=devices,
        num_nodes=nodes,
        # Buffers are the same everywhere without being sent around: BatchNorm is shared.
        strategy=DDPStrategy(broadcast_buffers=False) if several else "auto",
        precision=precision,
    )


def _cpu_has_bf16() -> bool:
    """Whether the processor multiplies bf16 itself: it then takes just over half the time."""
    # An older torch does not tell.
    found: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return any(found.get(name) for name in ("avx512_bf16", "amx_bf16"))


def _torchrun() -> tuple[int, int] | None:
    """Machines and processes a machine, where torchrun started us."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return None
    here = int(os.environ["LOCAL_WORLD_SIZE"])
    return int(os.environ["WORLD_SIZE"]) // here, here


def _keep_freed_memory() -> None:
    """Let glibc keep what is freed for the next activation.

    Otherwise every large one is mapped anew and zeroed page by page: a sixth of a step.
    """
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        libc.mallopt(_M_MMAP_MAX, 0)
        libc.mallopt(_M_TRIM_THRESHOLD, -1)
