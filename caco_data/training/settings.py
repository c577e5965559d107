"""Settings of a training run.

Defaults: the paper, section 4, and the authors' code, except for the change estimate.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from caco_data.errors import InputError
from caco_data.settings_fields import check_limits, setting
from caco_data.split_settings import PartName

MixtureKind = Literal["log", "raw"]
#: The paper's Table 8: distance between the periods; its ratio to the distance within a period;
#: that ratio with both periods' dates in the same seasons; its moving average over the epochs.
#: `local` is not in the paper: the ratio of the most changed part of a patch, from the pixels.
EstimateName = Literal["local", "distance", "ratio", "aligned", "smoothed"]
MethodName = Literal["moco", "moco-tp", "seco", "teco", "caco"]
LongTerm = Literal["last", "random"]
Framework = Literal["moco", "simclr"]
Device = Literal["cuda", "cpu"]
Schedule = Literal["steps", "cosine"]
Precision = Literal["auto", "bf16", "32"]
PresetName = Literal["paper-100k", "paper-1m"]

#: Defaults that depend on the framework (paper, Table 7) and on the size of the data set
#: (preset names count images: 10k and 100k locations).
FRAMEWORKS: dict[Framework, dict[str, Any]] = {"moco": {}, "simclr": {"batch_size": 512}}
PRESETS: dict[PresetName, dict[str, Any]] = {
    "paper-100k": {"epochs": 1000, "change_estimate": "smoothed"},
    "paper-1m": {"epochs": 200, "change_estimate": "smoothed"},
}

#: May differ when a run is resumed: paths, hardware, speed and reports.
_FREE = {
    "data", "out", "resume", "device", "devices", "precision", "compile", "workers", "log_every",
    "checkpoint_minutes", "keep_best", "checksum",
}  # fmt: skip

#: Minimum side of a view, pixels: below it, the last stage of a ResNet has a single pixel.
MIN_CROP = 32


@dataclass(frozen=True)
class TrainSettings:
    """Settings of a training run: data, method, optimisation, hardware and reports."""

    data: str = setting("dataset", "Folder of the data set.", metavar="FOLDER")
    split: PartName | None = setting(
        None,
        "Train on this part of the data set only (caco-data split).",
        shown_default="all locations",
    )
    out: str = setting("run", "Folder of the run.", metavar="FOLDER")
    bands: tuple[str, ...] | None = setting(
        None, "Bands to train on.", shown_default="all bands of the data set"
    )
    method: MethodName = setting(
        "caco",
        "Pretraining method: moco (two views of one image), moco-tp (views of two dates), seco "
        "(three subspaces), teco (long-term negatives always), caco (long-term negatives where "
        "change is detected).",
    )
    long_term: LongTerm = setting(
        "last",
        "Pairs of a data set of more than two periods: the first and the last one, or two random "
        "ones in each step.",
    )
    framework: Framework = setting("moco", "Contrastive framework: MoCo v2 or SimCLR.")
    encoder: str = setting(
        "resnet18",
        "Encoder architecture: resnet18, resnet50, or timm:NAME if timm is installed.",
        metavar="NAME",
    )
    epochs: int = setting(200, "Number of passes over the locations.", count=True)
    max_steps: int | None = setting(None, "Stop after this many steps.", count=True)
    batch_size: int = setting(
        256,
        "Rows per step over all devices; each location gives two, or one if it has one period.",
        count=True,
        shown_default=f"256; {FRAMEWORKS['simclr']['batch_size']} for simclr",
    )
    queue_size: int = setting(
        16384,
        "Number of keys kept as negatives (moco); a multiple of the batch size.",
        count=True,
    )
    embedding: int = 128
    """Width of an embedding."""
    lr: float = setting(
        0.03,
        "Learning rate of SGD, reduced by the schedule.",
        minimum=0,
        maximum=100,
        above_minimum=True,
    )
    schedule: Schedule = setting(
        "steps",
        "Learning rate over the run. steps: divided by 10 after 60 % of the steps and by 100 after "
        "80 % (the paper's); cosine: half a period of a cosine, down to 0.",
    )
    warmup: float = setting(
        0.0,
        "Share of the steps in which the learning rate increases from 0.",
        minimum=0,
        maximum=0.5,
    )
    momentum: float = 0.9
    """Momentum of SGD."""
    weight_decay: float = 1e-4
    """Weight decay of SGD."""
    key_momentum: float = setting(
        0.999, "Momentum of the key network (moco); lower it for short runs.", minimum=0, maximum=1
    )
    change_estimate: EstimateName = setting(
        "local",
        "Change estimate. local: the most changed part of a patch, from the pixels, before the "
        "first step. From the embeddings (paper, Table 8): distance between the periods; ratio to "
        "the distance within a period; aligned: ratio over the same seasons; smoothed: moving "
        "average of aligned over the epochs (the paper's).",
    )
    mixture: MixtureKind = setting(
        "log",
        "Fit the mixture that labels change to log ratios, or to raw ratios as in the paper.",
    )
    crop_size: int = setting(
        224, f"Side length of a view in pixels, at least {MIN_CROP}.", count=True, minimum=MIN_CROP
    )
    seed: int = setting(0, "Random seed.", minimum=0)
    precision: Precision = setting(
        "auto", "bf16 autocast or 32 bits; auto: bf16 where supported (CUDA, some CPUs)."
    )
    compile: bool = setting(False, "Compile the encoder with torch.compile.")
    device: Device = setting("cuda", "Device to train on.")
    devices: int = setting(
        1, "Number of GPUs, with one process each; torchrun overrides it.", count=True
    )
    workers: int = setting(4, "Reader threads per process.", count=True)
    log_every: int = setting(
        10, "Steps between two reports, each a row of metrics.csv.", count=True
    )
    checkpoint_minutes: float = setting(
        30,
        "Maximum minutes between two checkpoints, in addition to one after each epoch.",
        minimum=0,
        above_minimum=True,
    )
    keep_best: int = setting(
        1,
        "Number of checkpoints with the lowest epoch loss to keep, in addition to the last two.",
        minimum=0,
    )
    checksum: bool = setting(
        False, "Verify the digest of every shard first; sizes are always checked."
    )
    resume: bool = setting(False, "Resume the run in --out, or start it.")

    def check(self) -> None:
        """Raise InputError for values outside their limits and for invalid combinations."""
        check_limits(self)
        if self.framework == "moco" and self.queue_size % self.batch_size:
            fitting = max(1, round(self.queue_size / self.batch_size)) * self.batch_size
            raise InputError(
                f"A queue of {self.queue_size} keys is not a multiple of the batch of "
                f"{self.batch_size} rows",
                "--queue-size",
                f"Use {fitting}, for example",
            )

    @property
    def aligned(self) -> bool:
        """Whether a step takes early and late tiles of the same seasons (paper, equation 3)."""
        return self.change_estimate in ("local", "aligned", "smoothed")

    @property
    def fixed(self) -> dict[str, Any]:
        """The settings that must be the same when a run is resumed."""
        fixed = {name: value for name, value in asdict(self).items() if name not in _FREE}
        return {**fixed, "bands": self.bands and list(self.bands)}  # as read from JSON
