"""The encoder card: what an encoder was trained on and how its input is prepared.

The card is JSON in the metadata of `encoder.safetensors` under the key `encoder_card`. Formats
without metadata have it in a file next to the weights (`sidecar`). docs/encoder-card.md describes
every field.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from caco_data.sentinel2 import BAND_PIXEL_M, CENTRE_NM

#: Version of the card. Readers accept cards of their own version and of earlier ones.
CARD_FORMAT = "caco-encoder/1"
#: Key of the card in the metadata of safetensors and ONNX files and in checkpoints.
CARD_KEY = "encoder_card"
#: How a pixel value becomes an input of the network; `low`, `high`, `mean` and `std` per band.
SCALING = "x = DN / 10000 * 255; x = clip((x - low) / (high - low), 0, 1); x = (x - mean) / std"
#: Source of the method.
CITATION = (
    "Utkarsh Mall, Bharath Hariharan, Kavita Bala: Change-Aware Sampling and Contrastive Learning "
    "for Satellite Images. CVPR 2023, pp. 5261-5270."
)


@dataclass(frozen=True)
class BandInput:
    """One input band of an encoder, and the scaling of its values."""

    name: str
    """Name of the Sentinel-2 band, `B4`."""
    low: float
    """Value mapped to 0 before normalisation, on the scale DN / 10000 * 255."""
    high: float
    """Value mapped to 1, on the same scale."""
    mean: float
    """Subtracted after the mapping to 0..1."""
    std: float
    """Divisor after the subtraction of the mean."""
    wavelength_nm: float | None = None
    """Central wavelength of the band (Sentinel-2A), nm."""
    pixel_m: int | None = None
    """Native pixel size, metres."""


def band_input(name: str, low: float, high: float, mean: float, std: float) -> BandInput:
    """Make the description of a Sentinel-2 band, with its wavelength and pixel size."""
    return BandInput(
        name, low, high, mean, std, CENTRE_NM.get(name), BAND_PIXEL_M.get(name)
    )  # fmt: skip


@dataclass(frozen=True)
class EncoderCard:
    """Description of an encoder; unknown facts are None or empty."""

    architecture: str
    """`resnet18`, `resnet50`, or `timm:` and the name of a timm model."""
    features: int
    """Number F of features."""
    bands: tuple[BandInput, ...]
    """Input bands in the order of the channels."""
    input_size: int
    """Side in pixels of the images it was trained on."""
    input_unit: str = "DN"
    """Unit of the training tiles: `DN` (uint16, reflectance x 10000) or `DN / 10000 * 255` (uint8).
    The preprocessing accepts both."""
    scaling: str = SCALING
    """Formula of the input scaling."""
    interpolation: str = "bilinear"
    """Resampling to `input_size`; bands of 20 m and 60 m are first repeated to 10 m pixels."""
    method: str | None = None
    """Pretraining method, `caco`."""
    framework: str | None = None
    """Contrastive framework, `moco`."""
    steps: int | None = None
    """Training steps done."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the run."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    """Last row of the run's metrics.csv."""
    data_digest: str | None = None
    """SHA-256 of the data set's dataset.json."""
    locations_digest: str | None = None
    """SHA-256 of the data set's locations.parquet."""
    data_source: str | None = None
    """Image source and collection."""
    data_licence: str | None = None
    """Licence of the images."""
    software: str | None = None
    """Versions of the software that trained the encoder."""
    citation: str | None = None
    """Publication to cite."""
    assumed: tuple[str, ...] = ()
    """Facts that the file does not contain and that were assumed when it was read."""
    format: str = CARD_FORMAT
    """Version of the card."""

    @property
    def band_names(self) -> tuple[str, ...]:
        """Names of the bands in the order of the channels."""
        return tuple(band.name for band in self.bands)

    def to_dict(self) -> dict[str, Any]:
        """The card as a dict of JSON values, the version first."""
        values = asdict(self)
        return {"format": values.pop("format"), **values}

    def to_json(self) -> str:
        """The card as JSON."""
        return json.dumps(self.to_dict(), indent=1)


def card_from_json(text: str) -> EncoderCard:
    """Read a card.

    Raises
    ------
    ValueError
        When the text is no card, or a card of a later version.
    """
    values = json.loads(text)
    if not isinstance(values, dict) or not str(values.get("format")).startswith("caco-encoder/"):
        raise ValueError("no encoder card")
    if values["format"] != CARD_FORMAT:
        raise ValueError(
            f"an encoder card of version {values['format']}, but this version of caco-data reads "
            f"{CARD_FORMAT}"
        )
    known = {one.name for one in fields(EncoderCard)}
    chosen = {name: value for name, value in values.items() if name in known}
    try:
        chosen["bands"] = tuple(BandInput(**band) for band in values["bands"])
        chosen["assumed"] = tuple(values.get("assumed", ()))
        return EncoderCard(**chosen)
    except (TypeError, KeyError) as error:
        raise ValueError(f"an incomplete encoder card: {error}") from error


def sidecar(path: Path) -> Path:
    """Path of the card of a file without metadata: `resnet18.pth.card.json`."""
    return path.with_name(path.name + ".card.json")
