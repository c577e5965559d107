"""Settings of an evaluation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from caco_data.settings_fields import check_limits, setting

Normalization = Literal["model_native", "zscore"]
PixelUnit = Literal["auto", "DN", "uint8", "reflectance", "display"]
Device = Literal["auto", "cpu", "cuda"]


@dataclass(frozen=True)
class EvaluationSettings:
    """Settings that all tasks have."""

    encoder: str = setting(
        "run",
        "Encoder: the folder of a run, its encoder.safetensors, or any file that export-encoder "
        "reads.",
        metavar="RUN_OR_FILE",
    )
    data: str = setting("dataset", "Folder of the task's data.", metavar="FOLDER")
    out: str = setting(
        "evaluation",
        "Folder of the results; features are kept in its subfolder cache.",
        metavar="FOLDER",
    )
    name: str | None = setting(
        None, "Name of the encoder in tables.", shown_default="file or folder of --encoder"
    )
    image_size: int = setting(
        224, "Side in pixels to which images are resized.", count=True, minimum=32
    )
    normalization: Normalization = setting(
        "model_native",
        "Scaling of the pixels: that of the encoder's card, or z-scores with the mean and the "
        "standard deviation of the training part.",
    )
    adapt_bn: bool = setting(
        False,
        "Also evaluate the encoders with batch normalisation adapted to the training images, as "
        "rows of their own.",
    )
    batch_size: int = setting(64, "Images per batch; does not change the results.", count=True)
    bootstrap: int = setting(
        200, "Number of bootstrap resamples for the 95 % intervals.", count=True, minimum=10
    )
    seed: int = setting(
        0, "Random seed of the splits, the fresh weights and the resamples.", minimum=0
    )
    device: Device = setting("auto", "Device of the encoder; auto: a GPU if there is one.")

    def check(self) -> None:
        """Raise InputError for values outside their limits."""
        check_limits(self)


@dataclass(frozen=True)
class ClassificationSettings(EvaluationSettings):
    """Settings of the classification tasks."""

    split_file: tuple[str, ...] = ()
    """Files that list the images of the parts; see `images.find_images`."""
    unit: PixelUnit = setting(
        "auto",
        "Unit of the pixels; auto: display for JPEG and PNG, DN / 10000 * 255 for other 8-bit "
        "images, DN for other types.",
    )
    bands: tuple[str, ...] | None = setting(
        None, "Bands of the images, in order.", shown_default="from the files"
    )
    finetune: bool = setting(
        False, "Also train the whole encoder; minutes on a GPU, up to hours on a CPU."
    )
    finetune_epochs: int = setting(10, "Epochs of --finetune.", count=True)


@dataclass(frozen=True)
class ChangeSettings(EvaluationSettings):
    """Settings of the task `change`."""

    estimate: str | None = setting(
        None,
        "Change estimate of a training run.",
        metavar="FILE",
        shown_default="change.parquet in the folder --encoder",
    )
    top: int = setting(50, "k of the precision among the k highest scores.", count=True)


@dataclass(frozen=True)
class PixelSettings(EvaluationSettings):
    """Settings of tasks that read image files."""

    unit: PixelUnit = setting(
        "auto",
        "Unit of the pixels; auto: display for JPEG and PNG, DN / 10000 * 255 for other 8-bit "
        "images, DN for other types.",
    )
    bands: tuple[str, ...] | None = setting(
        None, "Bands of the images, in order.", shown_default="from the files"
    )


@dataclass(frozen=True)
class SegmentationSettings(PixelSettings):
    """Settings of the task `segmentation`."""

    epochs: int = setting(50, "Epochs of the decoders.", count=True)


@dataclass(frozen=True)
class OscdSettings(EvaluationSettings):
    """Settings of the task `oscd`."""

    epochs: int = setting(50, "Epochs of the decoder.", count=True)


@dataclass(frozen=True)
class EventsSettings(PixelSettings):
    """Settings of the task `events`."""

    top: int = setting(50, "k of AP@k, the mean precision among the k highest scores.", count=True)


@dataclass(frozen=True)
class AuditSettings:
    """Settings of `caco-data audit`."""

    out: str = setting("audit", "Folder of the results.", metavar="FOLDER")
    max_locations: int = setting(
        2000, "Maximum number of locations to read, drawn at random.", count=True
    )
    bootstrap: int = setting(
        1000, "Number of bootstrap resamples for the 95 % intervals.", count=True, minimum=10
    )
    seed: int = setting(0, "Random seed of the locations and the resamples.", minimum=0)

    def check(self) -> None:
        """Raise InputError for values outside their limits."""
        check_limits(self)
