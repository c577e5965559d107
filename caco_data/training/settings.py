"""Settings of a training run; the defaults are those of the paper (section 4) and its code."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

from caco_data.errors import InputError

MixtureKind = Literal["log", "raw"]
#: The paper's Table 8: distance between the periods; its ratio to the distance within a period;
#: that ratio with both periods' dates in the same seasons; its moving average over the epochs.
EstimateName = Literal["distance", "ratio", "aligned", "smoothed"]
MethodName = Literal["moco", "moco-tp", "seco", "teco", "caco"]
Framework = Literal["moco", "simclr"]
Device = Literal["cuda", "cpu"]
Precision = Literal["auto", "bf16", "32"]
PresetName = Literal["paper-100k", "paper-1m"]

#: Settings that the paper changes for a framework (Table 7) and for the data set size. Presets are
#: named by the number of images: 100k for 10k locations, 1m for 100k locations.
FRAMEWORKS: dict[Framework, dict[str, Any]] = {"moco": {}, "simclr": {"batch_size": 512}}
PRESETS: dict[PresetName, dict[str, Any]] = {
    "paper-100k": {"epochs": 1000},
    "paper-1m": {"epochs": 200},
}

#: Settings that may differ when a run is resumed: paths, hardware, reports and checkpoints.
_FREE = {
    "data", "out", "resume", "device", "devices", "precision", "compile", "workers", "log_every",
    "checkpoint_minutes", "keep_best", "checksum",
}  # fmt: skip

#: Minimum side of a view in pixels: the total stride of a ResNet.
MIN_CROP = 32


@dataclass(frozen=True)
class TrainSettings:
    """What to train, on what, and how."""

    data: str = "dataset"
    """Folder of the data set."""
    out: str = "run"
    """Folder of the run."""
    bands: tuple[str, ...] | None = None
    """Which of the data set's bands; None for all."""
    method: MethodName = "caco"
    """Which views are made and which negatives count; see `methods.METHODS`."""
    framework: Framework = "moco"
    """How queries and keys are contrasted."""
    encoder: str = "resnet18"
    """What is trained: resnet18, resnet50, or `timm:` and a name of timm's."""
    epochs: int = 200
    """Times each location is seen."""
    max_steps: int | None = None
    """Steps after which the run ends early."""
    batch_size: int = 256
    """Rows over all devices: two a location."""
    queue_size: int = 16384
    """Keys kept by each head (moco)."""
    embedding: int = 128
    """Width of an embedding."""
    lr: float = 0.03
    """Learning rate of SGD; a tenth of it from 60 % of the steps on, a hundredth from 80 %."""
    momentum: float = 0.9
    """Of SGD."""
    weight_decay: float = 1e-4
    """Of SGD."""
    key_momentum: float = 0.999
    """Share of the key network that stays at each step (moco)."""
    change_estimate: EstimateName = "smoothed"
    """What is taken for change (paper, Table 8)."""
    mixture: MixtureKind = "log"
    """What the change labels are fitted to."""
    crop_size: int = 224
    """Side of a view, pixels."""
    seed: int = 0
    """Of everything random."""
    precision: Precision = "auto"
    """bf16 autocast or 32 bits; auto takes bf16 where the device has it: CUDA, and some CPUs."""
    compile: bool = False
    """Whether torch.compile works on the encoder."""
    device: Device = "cuda"
    """Where to train."""
    devices: int = 1
    """Processes on this machine, each with a GPU of its own; torchrun overrules it."""
    workers: int = 4
    """Reader threads of a process."""
    log_every: int = 10
    """Steps between two rows of metrics: the only times that the host waits for the device."""
    checkpoint_minutes: float = 30
    """Longest time between two checkpoints; one is written after every epoch anyway."""
    keep_best: int = 1
    """Checkpoints of the epochs with the smallest losses that stay, besides the last two."""
    checksum: bool = False
    """Whether to hash every shard first; their sizes are compared anyway."""
    resume: bool = False
    """Whether to go on with the run in `out`."""

    def check(self) -> None:
        """Raise InputError for values that are invalid or do not fit together."""
        if not (math.isfinite(self.lr) and self.lr > 0):
            raise InputError(f"Invalid learning rate {self.lr}", "--lr", "Use a positive number")
        if self.framework == "moco" and self.queue_size % self.batch_size:
            fitting = max(1, round(self.queue_size / self.batch_size)) * self.batch_size
            raise InputError(
                f"A queue of {self.queue_size} keys is not a multiple of the batch of "
                f"{self.batch_size} rows",
                "--queue-size",
                f"Use {fitting}, for example",
            )
        if self.crop_size < MIN_CROP:
            raise InputError(
                f"Views of {self.crop_size} pixels are too small",
                "--crop-size",
                f"Use at least {MIN_CROP}",
            )

    @property
    def aligned(self) -> bool:
        """Whether a step takes early and late tiles of the same seasons (paper, equation 3)."""
        return self.change_estimate in ("aligned", "smoothed")

    @property
    def fixed(self) -> dict[str, Any]:
        """The settings that must be the same when a run is resumed."""
        fixed = {name: value for name, value in asdict(self).items() if name not in _FREE}
        return {**fixed, "bands": self.bands and list(self.bands)}  # a list, as JSON returns it
