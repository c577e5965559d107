"""Settings of a training run. Defaults are the paper's (section 4 and the authors' code)."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from caco_data.errors import InputError
from caco_data.training.change import MixtureKind

MethodName = Literal["caco", "teco", "seco"]
Framework = Literal["moco"]
EncoderName = Literal["resnet18", "resnet50"]
Device = Literal["cuda", "cpu"]
Precision = Literal["auto", "bf16", "32"]

#: May differ when a run is resumed: where things are and how fast it goes, not what is learnt.
_FREE = {"data", "out", "resume", "device", "precision", "workers", "log_every"}

#: Smaller views would leave the last stage of a ResNet a single pixel.
MIN_CROP = 32


@dataclass(frozen=True)
class TrainSettings:
    """What to train, on what, and how."""

    data: str = "dataset"
    """Folder of the data set."""
    out: str = "run"
    """Folder of the run."""
    method: MethodName = "caco"
    """Which negatives count; see `contrast.METHODS`."""
    framework: Framework = "moco"
    """How queries and keys are contrasted."""
    encoder: EncoderName = "resnet18"
    """What is trained."""
    epochs: int = 200
    """Times each location is seen."""
    max_steps: int | None = None
    """Steps after which the run ends early."""
    batch_size: int = 256
    """Rows: two a location."""
    queue_size: int = 16384
    """Keys kept by each head."""
    embedding: int = 128
    """Width of an embedding."""
    lr: float = 0.03
    """Learning rate of SGD; a tenth of it from 60 % of the steps on, a hundredth from 80 %."""
    momentum: float = 0.9
    """Of SGD."""
    weight_decay: float = 1e-4
    """Of SGD."""
    key_momentum: float = 0.999
    """Share of the key network that stays at each step."""
    mixture: MixtureKind = "log"
    """What the change labels are fitted to."""
    crop_size: int = 224
    """Side of a view, pixels."""
    seed: int = 0
    """Of everything random."""
    precision: Precision = "auto"
    """bf16 autocast or 32 bits; auto takes bf16 on CUDA."""
    device: Device = "cuda"
    """Where to train."""
    workers: int = 4
    """Reader threads."""
    log_every: int = 10
    """Steps between two rows of metrics: the only times that the host waits for the device."""
    resume: bool = False
    """Whether to go on with the run in `out`."""

    def check(self) -> None:
        """Raise InputError for settings that cannot go together."""
        if self.queue_size % self.batch_size:
            fitting = max(1, round(self.queue_size / self.batch_size)) * self.batch_size
            raise InputError(
                f"A queue of {self.queue_size} keys is not a multiple of the batch of "
                f"{self.batch_size} rows",
                "--queue-size",
                f"Give {fitting}, for example",
            )
        if self.crop_size < MIN_CROP:
            raise InputError(
                f"Views of {self.crop_size} pixels are too small",
                "--crop-size",
                f"Give at least {MIN_CROP}",
            )

    @property
    def fixed(self) -> dict[str, Any]:
        """The settings that a resumed run must keep."""
        return {name: value for name, value in asdict(self).items() if name not in _FREE}


def difference(old: dict[str, Any], new: dict[str, Any]) -> str:
    """Name the settings that differ, `lr 0.03 -> 0.1; seed 0 -> 1`."""
    names = sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))
    return "; ".join(f"{name} {old.get(name)} -> {new.get(name)}" for name in names)
